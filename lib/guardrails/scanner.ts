/**
 * The command scanner: says of a command, before anybody runs it, whether it is dangerous, allowed or unknown. Pure:
 * it runs nothing and looks at nothing but the source, so it gives the same verdict at publish and on the node.
 */
import { type Finding, type Judgement, judgementOf } from './finding.ts';
import { quote } from './shell/call.ts';
import { loadGrammar } from './shell/grammar.ts';
import { runNode, runText, runUncalled } from './shell/interpret.ts';
import { withoutMarks } from './shell/marks.ts';
import { type Frame, limits, report, type Scan } from './shell/scan.ts';

export type ScanContext = {
  /** Where the command runs; the agent's own directory is the root when left out. */
  readonly cwd?: string;
  /** `script`: has arguments that nobody knows. A command of a resource has none. */
  readonly kind?: 'command' | 'script';
};

export type Scanner = {
  /** Judges text for a shell, or a program with its arguments. Never throws. Attacker-controlled. */
  scan(command: string | readonly string[], context?: ScanContext): Judgement;
};

/** Loads the shell grammar, once for each process. */
export async function loadScanner(): Promise<Scanner> {
  const grammar = await loadGrammar();
  return {
    scan(command, context = {}) {
      const source = withoutMarks(typeof command === 'string' ? command : quote(command)).replaceAll('\r\n', '\n');
      const findings: Finding[] = [];
      const scan: Scan = {
        grammar,
        findings,
        steps: limits.steps,
        files: new Map(),
        programs: new Map(),
        uncalled: new Map(),
        letsSshThrough: false,
        firewall: [],
        firewallDenies: false,
        run: runNode,
        runText,
      };
      const frame = frameOf(scan, source, context);
      try {
        if (source.includes('\0')) report(frame, 'G0505', { excerpt: source, detail: 'a NUL' });
        else runText(source, frame);
        runUncalled(scan);
        if (scan.steps <= 0) report(frame, 'G0605', { excerpt: source.slice(0, 200) });
      } catch (error) {
        // A stack that runs out is the one thing that bounded work can't rule out.
        if (!(error instanceof RangeError)) throw error;
        report(frame, 'G0605', { excerpt: source.slice(0, 200) });
      }
      if (!scan.letsSshThrough) findings.push(...scan.firewall);
      return judgementOf(findings.toSorted((a, b) => a.position.offset - b.position.offset));
    },
  };
}

function frameOf(scan: Scan, source: string, { cwd, kind }: ScanContext): Frame {
  const scope = {
    variables: new Map(),
    functions: new Map(),
    aliases: new Map(),
    cwd,
    positional: kind === 'script' ? undefined : [],
    branches: 0,
  };
  return {
    scan,
    source: { text: source, substitutions: new Map() },
    scope,
    stdin: '',
    at: undefined,
    depth: 0,
    calls: [],
  };
}

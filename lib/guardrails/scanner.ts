/**
 * The command scanner: says of a command, before anybody runs it, whether it is dangerous, allowed or unknown. It runs
 * nothing and looks at nothing but the source; on the node also at what the paths in it are there, so that a command may
 * be refused by a node that publish let pass, and never the reverse.
 */
import { type Finding, type Judgement, judgementOf } from './finding.ts';
import { quote } from './shell/call.ts';
import { loadGrammar } from './shell/grammar.ts';
import { runNode, runText, runUncalled } from './shell/interpret.ts';
import { withoutMarks } from './shell/marks.ts';
import type { PlacesOf } from './shell/places.ts';
import { type Frame, limits, report, type Scan } from './shell/scan.ts';

export type ScanContext = {
  /** Where the command runs; the agent's own directory is the root when left out. */
  readonly cwd?: string;
  /** The machine that it runs on, where there is one to ask. */
  readonly placesOf?: PlacesOf;
};

export type Scanner = {
  /** Judges text for a shell, or a program with its arguments. Never throws. Attacker-controlled. */
  scan(command: string | readonly string[], context?: ScanContext): Judgement;
};

let loaded: Promise<Scanner> | undefined;

/** The scanner of this process; the shell grammar is loaded once. */
export function loadScanner(): Promise<Scanner> {
  loaded ??= create();
  return loaded;
}

async function create(): Promise<Scanner> {
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
        links: new Map(),
        traps: [],
        uncalled: new Map(),
        letsSshThrough: false,
        isVerified: false,
        firewall: [],
        firewallDenies: false,
        placesOf: context.placesOf,
        run: runNode,
        runText,
      };
      const frame = frameOf(scan, source, context);
      try {
        if (source.includes('\0')) report(frame, 'G0505', { excerpt: source, detail: 'a NUL' });
        else runText(source, frame);
        for (const run of scan.traps.splice(0)) run();
        runUncalled(scan);
        if (scan.steps <= 0) report(frame, 'G0605', { excerpt: source.slice(0, 200) });
      } catch (error) {
        // A stack that runs out is the one thing that bounded work can't rule out.
        if (!(error instanceof RangeError)) throw error;
        report(frame, 'G0605', { excerpt: source.slice(0, 200) });
      }
      if (!scan.letsSshThrough) findings.push(...scan.firewall);
      if (findings.length === 0) reportQuoted(frame, source);
      return judgementOf(findings.toSorted((a, b) => a.position.offset - b.position.offset));
    },
  };
}

/** Rules that only a real command breaks: a sentence with the word `reboot` in it must not. */
const telling = /^G0(?:10[1-7]|20[1-4]|302)$/;

/**
 * The net under all that is modelled: when nothing was found, every quoted text is read as if it were run. What it
 * catches is unknown and not dangerous, since most quoted text never is.
 */
function reportQuoted(frame: Frame, source: string): void {
  let texts = quotedIn(source.replace(/(^|\s)#.*$/gm, '$1'));
  for (let depth = 0; depth < 3 && texts.length > 0; depth += 1) {
    for (const text of texts.slice(0, 100)) {
      const trial: Finding[] = [];
      const scan = {
        ...frame.scan,
        findings: trial,
        steps: 2000,
        traps: [],
        uncalled: new Map(),
        files: new Map(),
        firewall: [],
      };
      runText(text, { ...frameOf(scan, text, {}), depth: limits.depth - 4 });
      const first = trial.find(({ rule, verdict }) => verdict === 'dangerous' && telling.test(rule));
      if (first !== undefined) {
        report(frame, 'G0606', { offset: Math.max(0, source.indexOf(text)), excerpt: text, detail: first.reason });
        return;
      }
    }
    texts = texts.flatMap(quotedIn);
  }
}

function quotedIn(source: string): string[] {
  return [...source.matchAll(/"((?:[^"\\]|\\[\s\S]){6,})"|'([^']{6,})'|`([^`]{6,})`/g)]
    .map((match) => (match[1]?.replace(/\\(["\\$`])/g, '$1') ?? match[2] ?? match[3] ?? '').trim())
    .filter((text) => /^[\w./~\\!({-].*[\s]/s.test(text));
}

function frameOf(scan: Scan, source: string, { cwd }: ScanContext): Frame {
  const scope = {
    variables: new Map(),
    functions: new Map(),
    aliases: new Map(),
    cwd,
    positional: undefined,
    zero: '/bin/sh',
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

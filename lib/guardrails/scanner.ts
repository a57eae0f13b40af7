/**
 * The command scanner: says of a command, before anybody runs it, whether it is dangerous, allowed or unknown. It runs
 * nothing and looks at nothing but the source; on the node also at what the paths in it are there, so that a command may
 * be refused by a node that publish let pass, and never the reverse.
 */
import { valuesIn } from './commands/nets.ts';
import { type Finding, type Judgement, judgementOf } from './finding.ts';
import { quote } from './shell/call.ts';
import { runUncalled } from './shell/functions.ts';
import { runNode, runText } from './shell/interpret.ts';
import { plain, withoutGlobs, withoutMarks } from './shell/marks.ts';
import type { PlacesOf } from './shell/places.ts';
import { type Frame, limits, report, type Scan } from './shell/scan.ts';
import { isDestruction, isTelling, trialOfText } from './shell/trial.ts';

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

export const scanner: Scanner = {
  scan(command, context = {}) {
    const source = withoutMarks(typeof command === 'string' ? command : quote(command)).replaceAll('\r\n', '\n');
    const findings: Finding[] = [];
    const scan: Scan = {
      findings,
      steps: limits.steps,
      files: new Map(),
      programs: new Map(),
      links: new Map(),
      readers: new Map(),
      recursions: new Map(),
      created: new Set(),
      traps: [],
      uncalled: new Map(),
      letsSshThrough: false,
      isVerified: false,
      texts: new Set(),
      down: new Map(),
      chains: new Map(),
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
      // A stack or an expression that is too large is what bounded work can't rule out.
      if (!(error instanceof RangeError || error instanceof SyntaxError)) throw error;
      report(frame, 'G0605', { excerpt: source.slice(0, 200) });
    }
    if (!scan.letsSshThrough) findings.push(...scan.firewall);
    for (const taken of scan.down.values()) findings.push(...taken);
    if (findings.length === 0) reportKept(frame);
    return judgementOf(findings.toSorted((a, b) => a.position.offset - b.position.offset));
  },
};

const maxTexts = 60;

/**
 * The net under all that is modelled: when nothing was found, every text that was kept in a variable or a file is read
 * as if it were run. What it catches is unknown and not dangerous, since most such text never is.
 */
function reportKept(frame: Frame): void {
  const { texts, files } = frame.scan;
  const contents = [...files].filter(
    ([path, text]) => !/Dockerfile|Containerfile/.test(path) && !/^FROM\s/m.test(text),
  );
  for (const [path, text] of contents.slice(0, maxTexts)) {
    const isOther =
      /\.(?:pyw?|p[lm]|rb|[mc]?js|ts|php|lua|c|cc|cpp|go|rs|java|tcl|exs?|jl|[rR]|hs|scala|groovy|gradle|kts?|clj|el|lisp|vim|nim|cr|raku)$|(?:Rake|Gem|Vagrant|Guard|Fast|Brew|Pod|Snake|Jenkins)file$|(?:SConstruct|wscript)$/.test(
        path,
      ) || /^#!.*\b(?:python|perl|ruby|node|php|lua)/.test(text);
    if (!isOther || text.length > 16_000) continue;
    const found = trialOfText(frame, `python3 -c ${quote([plain(text)])}`).find(({ rule }) => isTelling(rule));
    if (found === undefined) continue;
    report(frame, 'G0606', { excerpt: plain(text), detail: found.reason });
    return;
  }
  for (const text of [...texts, ...contents.flatMap(([, content]) => [content, ...valuesIn(plain(content))])].slice(
    0,
    maxTexts,
  )) {
    const code = withoutGlobs(plain(text)).trim();
    if (code.length < 6 || code.length > 8000 || !/^(?:[\w./~\\!({#-][^\s*?]*)\s/.test(code)) continue;
    const found = trialOfText(frame, code).find(({ rule }) => isDestruction(rule));
    if (found === undefined) continue;
    report(frame, 'G0606', { excerpt: code, detail: found.reason });
    return;
  }
}

function frameOf(scan: Scan, source: string, { cwd }: ScanContext): Frame {
  const scope = {
    variables: new Map(),
    functions: new Map(),
    aliases: new Map(),
    inputs: new Map(),
    outputs: new Map(),
    directories: [],
    cwd,
    positional: undefined,
    // A script has a name of its own.
    zero: source.startsWith('#!') ? '/usr/local/sbin/this-script' : '/bin/sh',
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
    forks: 0,
    loops: 0,
    absent: new Set(),
    entered: new Map(),
  };
}

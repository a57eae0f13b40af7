/** Trials: what would be found if something were run, without saying that it is. */
import type { Finding } from '../finding.ts';
import type { RuleId } from '../rules.ts';
import { type Frame, forkScope } from './scan.ts';

const stepsOfATrial = 4000;

/** What is destroyed: no sentence breaks these rules by mentioning a command. */
const telling = /^G0(?:10[1-8]|20[1-4]|302|40[1357])$/;

/** Where text may be no more than that, and is kept without anybody running it. */
export function isDestruction(rule: RuleId): boolean {
  return /^G0(?:10[1-7]|20[1-4]|302)$/.test(rule);
}

export function isTelling(rule: RuleId): boolean {
  return telling.test(rule);
}

/** The dangerous things that the work finds. Nothing that it does stays, but for the steps that it took. */
export function trial(frame: Frame, work: (frame: Frame) => void): Finding[] {
  const { scan } = frame;
  const given = Math.min(stepsOfATrial, scan.steps);
  const apart = {
    ...scan,
    findings: [] as Finding[],
    steps: given,
    files: new Map(scan.files),
    programs: new Map(scan.programs),
    links: new Map(scan.links),
    traps: [],
    uncalled: new Map(),
    texts: new Set<string>(),
    down: new Map<string, Finding[]>(),
    chains: new Map<string, string[]>(),
    firewall: [],
  };
  work({ ...frame, scan: apart, scope: forkScope(frame.scope), stdin: '' });
  scan.steps -= given - Math.max(apart.steps, 0);
  return apart.findings.filter(({ verdict }) => verdict === 'dangerous');
}

/** What text would do as code for a shell. */
export function trialOfText(frame: Frame, text: string): Finding[] {
  return trial(frame, (inner) => void inner.scan.runText(text, inner));
}

/** Recall and false alarms of the command scanner on its corpora, and on this machine's own maintainer scripts. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { Verdict } from '../lib/guardrails/rules.ts';
import { scanner } from '../lib/guardrails/scanner.ts';

type Sample = { readonly command: string; readonly rule?: string };
type Tally = Record<Verdict, number> & { otherRule: number };

const verbose = process.argv.includes('--verbose');
const only = process.argv.slice(2).filter((arg) => !arg.startsWith('-'));

function load(name: string): Sample[] {
  const path = name.includes('/') ? name : new URL(`../test/guardrails/${name}.jsonl`, import.meta.url);
  return readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

function measure(samples: readonly Sample[], expected: Verdict): Tally {
  const tally: Tally = { allowed: 0, unknown: 0, dangerous: 0, otherRule: 0 };
  for (const { command, rule } of samples) {
    const { verdict, findings } = scanner.scan(command);
    tally[verdict] += 1;
    const isOther = rule !== undefined && verdict !== 'allowed' && !findings.some((finding) => finding.rule === rule);
    if (isOther) tally.otherRule += 1;
    if (verbose && (verdict !== expected || isOther)) {
      const found = findings.map((finding) => `${finding.rule} ${finding.reason}`).join('; ');
      console.log(`${verdict} ${rule ?? ''} ${JSON.stringify(command.slice(0, 200))} ${found}`);
    }
  }
  return tally;
}

function print(name: string, samples: number, tally: Tally, milliseconds: number): void {
  const part = (count: number) => `${count} (${((100 * count) / Math.max(samples, 1)).toFixed(1)} %)`;
  console.log(
    `${name}: ${samples} samples, dangerous ${part(tally.dangerous)}, unknown ${part(tally.unknown)}, ` +
      `allowed ${part(tally.allowed)}, by another rule ${tally.otherRule}, ${(milliseconds / Math.max(samples, 1)).toFixed(2)} ms each`,
  );
}

function maintainerScripts(): Sample[] {
  const directory = '/var/lib/dpkg/info';
  try {
    return readdirSync(directory)
      .filter((name) => /\.(?:postinst|prerm|postrm|preinst)$/.test(name))
      .map((name) => ({ command: readFileSync(join(directory, name), 'utf8') }))
      .filter(({ command }) => /^#!.*sh\b/.test(command));
  } catch {
    return [];
  }
}

const sets: readonly (readonly [string, () => Sample[], Verdict])[] = [
  ['dangerous-plain', () => load('dangerous-plain'), 'dangerous'],
  ['dangerous-evasive', () => load('dangerous-evasive'), 'dangerous'],
  ['ordinary', () => load('ordinary'), 'allowed'],
  ['maintainer scripts of this machine', maintainerScripts, 'allowed'],
];
for (const [name, samples, expected] of sets) {
  if (only.length > 0 && !only.some((one) => name.includes(one))) continue;
  const list = samples();
  const start = performance.now();
  print(name, list.length, measure(list, expected), performance.now() - start);
}

/** The shell parser of the guardrails against `bash -n` and `dash -n`. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseAny } from '../../lib/guardrails/shell/grammar.ts';
import { generate } from './generate.ts';

const shells = ['bash', 'dash'].filter((shell) => spawnSync(shell, ['-c', ':']).status === 0);
const directories = [
  '/etc',
  '/usr/bin',
  '/usr/sbin',
  '/usr/lib',
  '/usr/share',
  '/usr/local/bin',
  '/opt',
  '/var/lib/dpkg/info',
];
/** dash takes the end of the source for the end of what is open: of half a command it is no judge. */
const bash = shells.filter((shell) => shell === 'bash');
const maxBytes = 128 * 1024;
const generated = 4000;

/** Says nothing but its status; a shell that grumbles has not accepted it. */
function accepts(shell: string, text: string): boolean {
  const { status, stderr } = spawnSync(shell, ['-n'], { input: text, encoding: 'utf8' });
  return status === 0 && stderr === '';
}

function* scriptsIn(directory: string, depth = 0): Generator<string> {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch {
    return;
  }
  for (const name of names) {
    const path = join(directory, name);
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats?.isDirectory() === true && depth < 8) yield* scriptsIn(path, depth + 1);
    else if (stats?.isFile() === true && stats.size <= maxBytes) {
      const text = readFileSync(path, 'utf8');
      if (/^#! ?\/\S*(?:\/env +)?\b(?:ba|da)?sh\b/.test(text)) yield path;
    }
  }
}

let failures = 0;
function judge(name: string, text: string, judges = shells): boolean {
  const by = judges.filter((shell) => accepts(shell, text));
  if (by.length === 0) return false;
  const parsed = parseAny(text);
  if (parsed !== undefined && parsed.errorAt === undefined) return true;
  failures += 1;
  const at = parsed?.errorAt;
  process.stdout.write(
    `NOT PARSED, but accepted by ${by.join(' and ')}: ${name}${at === undefined ? ': too much' : ` at ${JSON.stringify(text.slice(at, at + 40))}`}\n`,
  );
  return true;
}

if (shells.length === 0) process.stdout.write('NOT TESTED: neither bash nor dash is here\n');
else {
  const scripts = directories.flatMap((directory) => [...scriptsIn(directory)]);
  const accepted = scripts.filter((path) => judge(path, readFileSync(path, 'utf8')));
  const made = Array.from({ length: generated }, (_, seed) => generate(seed + 1));
  const good = made.filter((text) => judge(JSON.stringify(text), text, bash));
  process.stdout.write(
    `${shells.join(', ')}: ${accepted.length} of ${scripts.length} scripts of this machine and ${good.length} of ${made.length} made up are accepted; ${failures} of them do not parse\n`,
  );
  process.exitCode = failures === 0 ? 0 : 1;
}

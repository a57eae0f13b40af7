/** `holdfast audit verify`: offline, with nothing but the log's files and a key that came from elsewhere. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { openDirectorySource } from '../../lib/audit/source-directory.ts';
import { isSound, type Verdict, type Verdicts } from '../../lib/audit/verdicts.ts';
import { verifyLog } from '../../lib/audit/verify.ts';
import { type NoteVerifier, parseVerifierKey } from '../../lib/crypto/note.ts';
import { collect, globalsOf, parseDuration, print } from '../command.ts';
import { CliError } from '../errors.ts';
import { fleetOption, readOwnFleet } from '../fleet.ts';
import { printable } from '../printable.ts';
import { createProgress } from '../progress.ts';
import type { Terminal } from '../terminal.ts';

type VerifyFlags = {
  readonly logKey?: string;
  readonly fleet?: string;
  readonly anchor?: readonly string[];
  readonly maxAge?: number;
};

export function verifyCommand(terminal: Terminal): Command {
  return new Command('verify')
    .description('verify a log or an export of it, offline; exits with 5 when any verdict is a failure')
    .argument('[dir]', "an export, or any copy of the published files (default: the server's own, <state>/log)")
    .option('--log-key <key>', 'public key of the log, as NAME+HASH+BASE64')
    .option(...fleetOption)
    .option('--anchor <file>', 'a checkpoint that was kept elsewhere; repeatable', collect)
    .option('--max-age <duration>', 'how old the newest entry may be, or "any" (default 1d)', parseAge)
    .addHelpText(
      'after',
      '\nExamples:\n  holdfast audit verify ./evidence\n' +
        '  holdfast audit verify ./evidence --anchor checkpoint.last-month --max-age any --json\n',
    )
    .action(async (given: string | undefined, flags: VerifyFlags, command: Command) => {
      const directory = given ?? join(globalsOf(command).state, 'log');
      await requireDirectory(directory);
      const verifier = await findKey(directory, flags, command, terminal);
      const anchors = await Promise.all((flags.anchor ?? []).map((file) => readFile(file)));
      const progress = createProgress(terminal, 'entries');
      const verdicts = await verifyLog({
        source: openDirectorySource(directory),
        verifiers: [verifier],
        now: Date.now,
        anchors,
        onProgress: progress.show,
        ...(flags.maxAge === undefined ? {} : { maxAgeMs: flags.maxAge }),
      }).finally(progress.end);
      print(terminal, command, verdicts, () => formatVerdicts(verdicts));
      if (!isSound(verdicts))
        throw new CliError('verification', `the log in ${directory} does not hold`, {
          hint: 'keep the folder as it is: it is evidence. Compare it with another copy, and with checkpoints kept elsewhere',
        });
    });
}

const questions = ['integrity', 'completeness', 'freshness', 'anchoring', 'witnessing'] as const;
const words: Record<Verdict['verdict'], string> = { pass: 'pass', fail: 'FAIL', not_checked: '-' };

function formatVerdicts(verdicts: Verdicts): string[] {
  const { size, root } = verdicts;
  return [
    ...questions.map((question) => {
      const { verdict, reason, index } = verdicts[question];
      const where = index === undefined ? '' : ` (entry ${index})`;
      return `${question.padEnd(13)} ${words[verdict].padEnd(5)} ${printable(reason)}${where}`;
    }),
    ...(size === undefined || root === undefined ? [] : [`${'size, root'.padEnd(13)} ${size}   ${root}`]),
  ];
}

/** The key must come from elsewhere than the log: from the operator, and only for want of that from the folder itself. */
async function findKey(
  directory: string,
  flags: VerifyFlags,
  command: Command,
  terminal: Terminal,
): Promise<NoteVerifier> {
  if (flags.logKey !== undefined) return parseVerifierKey(flags.logKey);
  try {
    return parseVerifierKey((await readOwnFleet(command)).descriptor.log.key);
  } catch (error) {
    const included = await readFile(join(directory, 'key.txt'), 'utf8').catch(() => undefined);
    if (flags.fleet !== undefined || included === undefined) throw error;
    terminal.err(
      'warning: verified with the key that lies in the folder itself, which shows only that the folder is consistent\n' +
        "hint: give the log's key with --log-key, or the operator's copy of the fleet descriptor with --fleet\n",
    );
    return parseVerifierKey(included.trim());
  }
}

async function requireDirectory(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory() === true) return;
  throw new CliError('failure', `there is no directory ${path}`, {
    hint: 'name an export, or the server with --state; make an export with: holdfast audit export DIR',
  });
}

function parseAge(text: string): number {
  if (text === 'any') return Number.POSITIVE_INFINITY;
  try {
    return parseDuration(text);
  } catch (_notADuration) {
    throw new InvalidArgumentError('an age is a number and s, m, h or d, or "any"');
  }
}

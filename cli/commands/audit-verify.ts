/** `holdfast audit verify`: offline, with nothing but the log's files and a key that came from elsewhere. */
import { readFile, stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { listAnchors } from '../../lib/audit/anchor-directory.ts';
import { parseCheckpoint } from '../../lib/audit/checkpoint.ts';
import { AuditError } from '../../lib/audit/port.ts';
import { parseProof, verifyProof } from '../../lib/audit/proof.ts';
import type { LogSource } from '../../lib/audit/publication.ts';
import { openFeedSource } from '../../lib/audit/source-feed.ts';
import { isSound, type Verdict, type Verdicts } from '../../lib/audit/verdicts.ts';
import { verifyLog } from '../../lib/audit/verify.ts';
import { openVerifyPool } from '../../lib/audit/verify-pool.ts';
import { parsePolicy } from '../../lib/audit/witness-policy.ts';
import { toHex } from '../../lib/crypto/encoding.ts';
import { CryptoError } from '../../lib/crypto/errors.ts';
import { type NoteVerifier, parseNote, parseVerifierKey } from '../../lib/crypto/note.ts';
import { collect, globalsOf, parseCount, parseDuration, print } from '../command.ts';
import { CliError } from '../errors.ts';
import { fleetOption } from '../fleet.ts';
import { printable } from '../printable.ts';
import { createProgress } from '../progress.ts';
import type { Terminal } from '../terminal.ts';
import { isUrl, keyOption, openSource, readKey } from './audit-source.ts';

type VerifyFlags = {
  readonly logKey?: string;
  readonly fleet?: string;
  readonly anchor?: readonly string[];
  readonly witnesses?: string;
  readonly threads?: number;
  readonly maxAge?: number;
};

/** Below this a thread takes longer to start than it saves. */
const manyEntries = 50_000;
const maxThreads = 8;

const evidenceHint =
  'keep it as it is: it is evidence. Compare it with another copy, and with checkpoints kept elsewhere';

export function verifyCommand(terminal: Terminal): Command {
  return new Command('verify')
    .description('verify a log, offline; exits with 5 when any verdict is a failure')
    .argument(
      '[log]',
      'an export or any copy of the published files, the URL of them, what a log store gave back (.ndjson), ' +
        "or the proof of one entry (.tlog-proof); default: the server's own, <state>/log",
    )
    .option(...keyOption)
    .option(...fleetOption)
    .option('--anchor <path>', 'a checkpoint that was kept elsewhere, or a directory of them; repeatable', collect)
    .option('--witnesses <file>', 'a policy (C2SP tlog-policy): who must have cosigned the checkpoint')
    .option('--threads <n>', 'threads to verify on (default: as many as the machine has, for a long log)', parseCount)
    .option('--max-age <duration>', 'how old the newest entry may be, or "any" (default 1d)', parseAge)
    .addHelpText(
      'after',
      '\nExamples:\n  holdfast audit verify ./evidence\n' +
        '  holdfast audit verify https://logs.example.org/fleet --witnesses policy.txt\n' +
        '  holdfast audit verify ./evidence --anchor checkpoint.last-month --max-age any --json\n',
    )
    .action(async (given: string | undefined, flags: VerifyFlags, command: Command) => {
      const log = given ?? join(globalsOf(command).state, 'log');
      await requirePath(log);
      const verifier = parseVerifierKey(await readKey(log, flags, command, terminal));
      if (log.endsWith('.tlog-proof')) return verifyOne(terminal, command, log, verifier);
      const verdicts = await orBroken(log, () => verifyWhole(log, verifier, flags, terminal));
      print(terminal, command, verdicts, () => formatVerdicts(verdicts));
      if (!isSound(verdicts)) throw notSound(log);
    });
}

async function verifyWhole(
  log: string,
  verifier: NoteVerifier,
  flags: VerifyFlags,
  terminal: Terminal,
): Promise<Verdicts> {
  const isFeed = !isUrl(log) && !(await stat(log)).isDirectory();
  const feed = isFeed ? await openFeedSource(log, verifier.name) : undefined;
  const source = feed?.source ?? openSource(log);
  const policy = flags.witnesses === undefined ? undefined : parsePolicy(await readFile(flags.witnesses, 'utf8'));
  const anchors = [...(feed?.checkpoints ?? []), ...(await readAnchors(flags.anchor ?? []))];
  const threads = isFeed ? 1 : (flags.threads ?? (await threadsFor(source)));
  const pool = threads > 1 ? openVerifyPool(Math.min(threads, maxThreads)) : undefined;
  const progress = createProgress(terminal, 'entries');
  try {
    return await verifyLog({
      ...{ source, verifiers: [verifier], now: Date.now, anchors, onProgress: progress.show, tiles: !isFeed },
      ...(policy && { witnesses: policy }),
      ...(pool && { pool }),
      ...(flags.maxAge === undefined ? {} : { maxAgeMs: flags.maxAge }),
    });
  } finally {
    progress.end();
    await pool?.close();
  }
}

/** The size is unverified; it chooses only how many threads are started. */
async function threadsFor(source: LogSource): Promise<number> {
  const note = await source.read('checkpoint');
  try {
    const size = note === undefined ? 0 : parseCheckpoint(parseNote(note).text).size;
    return size < manyEntries ? 1 : availableParallelism();
  } catch (cause) {
    if (cause instanceof AuditError || cause instanceof CryptoError) return 1;
    throw cause;
  }
}

async function readAnchors(paths: readonly string[]): Promise<string[]> {
  const notes: string[] = [];
  for (const path of paths) {
    if ((await stat(path)).isDirectory()) for await (const note of listAnchors(path)) notes.push(note);
    else notes.push(await readFile(path, 'utf8'));
  }
  return notes;
}

async function verifyOne(terminal: Terminal, command: Command, path: string, verifier: NoteVerifier): Promise<void> {
  const proof = await orBroken(path, async () => parseProof(await readFile(path, 'utf8')));
  const entry = proof.extra;
  if (entry === undefined) {
    throw new CliError('verification', `${basename(path)} does not hold its entry`, {
      hint: 'make it anew with: holdfast audit prove SEQ',
    });
  }
  const { size, root } = await orBroken(path, async () =>
    verifyProof(proof, entry, { origin: verifier.name, verifiers: [verifier] }),
  );
  const text = Buffer.from(entry).toString('utf8');
  const proven = { origin: verifier.name, index: proof.index, size, root: toHex(root), entry: text };
  print(terminal, command, proven, () => [
    `entry ${proof.index} of ${size} is in the log of ${printable(verifier.name)}`,
    printable(text),
  ]);
}

/** What is found wrong before there are verdicts is a failed verification too. */
async function orBroken<T>(log: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    if (!(cause instanceof AuditError) || cause.code === 'unavailable') throw cause;
    throw new CliError('verification', `${log} does not hold: ${cause.message}`, { hint: evidenceHint, cause });
  }
}

function notSound(log: string): CliError {
  return new CliError('verification', `the log in ${log} does not hold`, { hint: evidenceHint });
}

const questions = ['integrity', 'completeness', 'freshness', 'anchoring', 'witnessing'] as const;
const words: Record<Verdict['verdict'], string> = { pass: 'pass', fail: 'FAIL', not_checked: '-' };

export function formatVerdicts(verdicts: Verdicts): string[] {
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

async function requirePath(path: string): Promise<void> {
  if (isUrl(path) || (await stat(path).catch(() => undefined)) !== undefined) return;
  throw new CliError('failure', `there is no directory or file ${path}`, {
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

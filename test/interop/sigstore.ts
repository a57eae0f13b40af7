/** The Merkle and checkpoint verifiers of @sigstore/verify, over our proofs. */
import { createPublicKey } from 'node:crypto';
import { createRequire } from 'node:module';
import { parseCheckpoint } from '../../lib/audit/checkpoint.ts';
import { proveEntry } from '../../lib/audit/proof.ts';
import { openDirectorySource } from '../../lib/audit/source-directory.ts';
import { u32be } from '../../lib/crypto/encoding.ts';
import { parseNote } from '../../lib/crypto/note.ts';
import { testOrigin } from '../fakes/audit-log.ts';
import type { InteropLog } from './logs.ts';
import type { Report } from './report.ts';

// They are not exported by name: what they judge inside is a bundle of another system.
const require = createRequire(import.meta.url);
const { verifyCheckpoint } = require('@sigstore/verify/dist/tlog/checkpoint.js');
const { verifyMerkleInclusion } = require('@sigstore/verify/dist/tlog/merkle.js');

const verifier = '@sigstore/verify';

type LogEntry = {
  readonly canonicalizedBody: Buffer;
  readonly inclusionProof: {
    readonly logIndex: string;
    readonly hashes: readonly Buffer[];
    readonly checkpoint: { readonly envelope: string };
  };
};

export async function judgeWithSigstore(
  report: Report,
  good: InteropLog,
  bad: readonly { readonly name: string; readonly directory: string }[],
): Promise<void> {
  const [log] = good.verifiers;
  const logId = Buffer.concat([u32be(log?.keyId ?? 0), Buffer.alloc(28)]);
  const publicKey = createPublicKey({ key: Buffer.from(good.signer.publicKey), format: 'der', type: 'spki' });
  const logs = [{ logID: logId, baseURL: testOrigin, publicKey, validFor: { start: new Date(0), end: new Date() } }];
  const judge = (entry: LogEntry): string | undefined => {
    try {
      verifyMerkleInclusion(entry, verifyCheckpoint(entry, logs));
      return undefined;
    } catch (error) {
      return String(error);
    }
  };
  const check = (what: string, isGood: boolean, said: string | undefined) =>
    report.check(verifier, what, isGood === (said === undefined), said ?? 'ok');

  const size = good.checkpoints.at(-1)?.size ?? 0;
  for (const index of [0, 256, 300, size - 1]) {
    const entry = await entryOf(good, good.directory, index);
    const { inclusionProof } = entry;
    check(`accepts the proof of entry ${index}`, true, judge(entry));
    check('rejects it for another entry', false, judge({ ...entry, canonicalizedBody: Buffer.from('another') }));
    const moved = { ...inclusionProof, logIndex: `${index === 0 ? 1 : index - 1}` };
    check('rejects it for another index', false, judge({ ...entry, inclusionProof: moved }));
    const cut = { ...inclusionProof, hashes: inclusionProof.hashes.slice(1) };
    check('rejects it cut', false, judge({ ...entry, inclusionProof: cut }));
  }
  for (const { name, directory } of bad) {
    // It sees one entry and its proof; what is wrong elsewhere in the log is not its question.
    if (
      ![
        'the size is raised',
        'the root is replaced',
        'the signature is another one',
        'all is signed with another key',
      ].includes(name)
    )
      continue;
    const entry = await entryOf(good, good.directory, 300);
    const note = Buffer.from((await openDirectorySource(directory).read('checkpoint')) ?? '').toString();
    const inclusionProof = { ...entry.inclusionProof, checkpoint: { envelope: note } };
    check(`rejects a checkpoint: ${name}`, false, judge({ ...entry, inclusionProof }));
  }
}

async function entryOf(good: InteropLog, directory: string, index: number): Promise<LogEntry> {
  const source = openDirectorySource(directory);
  const { hashes, checkpoint, extra } = await proveEntry(
    { source, origin: testOrigin, verifiers: good.verifiers },
    index,
  );
  parseCheckpoint(parseNote(checkpoint).text);
  return {
    canonicalizedBody: Buffer.from(extra ?? ''),
    inclusionProof: {
      logIndex: `${index}`,
      hashes: hashes.map((hash) => Buffer.from(hash)),
      checkpoint: { envelope: checkpoint },
    },
  };
}

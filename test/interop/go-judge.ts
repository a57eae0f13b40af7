/** Go's sumdb/note and tlog, transparency-dev's merkle, and torchwood, over our files. */
import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatProof, proveEntry } from '../../lib/audit/proof.ts';
import { createTileReader } from '../../lib/audit/tile-reader.ts';
import { consistencyProof } from '../../lib/audit/tree.ts';
import { createWitnessClient, withCosignatures } from '../../lib/audit/witness-client.ts';
import { toBase64 } from '../../lib/crypto/encoding.ts';
import { testOrigin } from '../fakes/audit-log.ts';
import { createTestWitness, postTo } from '../fakes/witness.ts';
import type { InteropLog } from './logs.ts';
import type { Report } from './report.ts';

export async function judgeWithGo(
  report: Report,
  judge: string,
  cache: string,
  good: InteropLog,
  bad: readonly { readonly name: string; readonly directory: string }[],
): Promise<void> {
  const ask = (verifier: string, what: string, isGood: boolean, args: readonly string[]) => {
    const { status, stdout, stderr } = spawnSync(judge, args, { encoding: 'utf8' });
    report.check(verifier, what, isGood ? status === 0 : status === 1, `${stdout}${stderr}`);
  };

  const whole = 'sumdb/note, sumdb/tlog, transparency-dev/merkle';
  ask(whole, 'accept a good log', true, ['log', good.directory, good.key]);
  for (const { name, directory } of bad) ask(whole, `reject: ${name}`, false, ['log', directory, good.key]);

  const both = 'sumdb/tlog and transparency-dev/merkle';
  const [first, second, third] = good.checkpoints as [
    ...[InteropLog['checkpoints'][0], InteropLog['checkpoints'][0]],
    InteropLog['checkpoints'][0],
  ];
  const proof = await consistencyProof(createTileReader(good.publication, third.size), second.size, third.size);
  const consistency = (from: typeof first, hashes: readonly Uint8Array[]) => [
    ...['consistency', `${from.size}`, toBase64(from.root), `${third.size}`, toBase64(third.root)],
    ...hashes.map(toBase64),
  ];
  ask(both, 'accept a consistency proof', true, consistency(second, proof));
  ask(both, 'reject it for another size', false, consistency({ ...second, size: second.size - 1 }, proof));
  ask(both, 'reject it for another root', false, consistency({ ...second, root: first.root }, proof));
  ask(both, 'reject it cut', false, consistency(second, proof.slice(1)));

  const policy = join(cache, 'policy');
  const plain = `log ${good.key}\nquorum none\n`;
  await writeFile(policy, plain);
  for (const index of [0, 255, 256, third.size - 1]) {
    const deps = { source: good.publication, origin: testOrigin, verifiers: good.verifiers };
    const made = await proveEntry(deps, index);
    const path = join(cache, `${index}.tlog-proof`);
    await writeFile(path, formatProof(made));
    ask('torchwood (C2SP tlog-proof)', `accept the proof of entry ${index}`, true, ['proof', path, policy]);
    await writeFile(path, formatProof({ ...made, index: index === 0 ? 1 : index - 1 }));
    ask('torchwood (C2SP tlog-proof)', `reject it for another index`, false, ['proof', path, policy]);
    await writeFile(path, formatProof({ ...made, extra: Buffer.from('another entry') }));
    ask('torchwood (C2SP tlog-proof)', `reject it for another entry`, false, ['proof', path, policy]);
  }

  const witness = createTestWitness('witness.example/ours', { logs: good.verifiers, now: Date.now });
  const client = createWitnessClient({
    ...{ source: good.publication, origin: testOrigin, verifiers: good.verifiers, post: postTo(witness) },
  });
  const path = join(cache, 'cosigned');
  await writeFile(path, withCosignatures(third.note, [await client.cosign(witness.policy, third.note)]));
  const cosigned = 'torchwood (C2SP tlog-cosignature, tlog-policy)';
  await writeFile(policy, `log ${good.key}\nwitness W ${witness.key}\nquorum W\n`);
  ask(cosigned, 'accept a cosignature of our witness', true, ['cosigned', path, policy]);
  const other = createTestWitness('witness.example/ours', { logs: good.verifiers, now: Date.now });
  await writeFile(policy, `log ${good.key}\nwitness W ${other.key}\nquorum W\n`);
  ask(cosigned, 'reject it under another key', false, ['cosigned', path, policy]);
  await writeFile(path, third.note);
  await writeFile(policy, `log ${good.key}\nwitness W ${witness.key}\nquorum W\n`);
  ask(cosigned, 'reject a checkpoint that nobody cosigned', false, ['cosigned', path, policy]);
}

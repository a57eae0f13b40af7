/** litewitness, a public witness: our client asks it through C2SP tlog-witness, and it must hold us to append-only. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { formatAddCheckpoint } from '../../lib/audit/add-checkpoint.ts';
import { cosignatureVerifier } from '../../lib/audit/cosignature.ts';
import { emptyRoot } from '../../lib/audit/tree.ts';
import { createWitnessClient, postOverHttp } from '../../lib/audit/witness-client.ts';
import { generateEd25519 } from '../../lib/crypto/ed25519.ts';
import { toBase64 } from '../../lib/crypto/encoding.ts';
import { formatSshPrivateKey, sshFingerprint, sshPublicKeyOf } from '../../lib/crypto/ssh-key.ts';
import { createTestSigner, testOrigin } from '../fakes/audit-log.ts';
import { type InteropLog, makeLog } from './logs.ts';
import type { Report } from './report.ts';

const verifier = 'litewitness (C2SP tlog-witness)';
const name = 'witness.example/lite';

export async function judgeWithWitness(
  report: Report,
  program: string,
  cache: string,
  good: InteropLog,
): Promise<void> {
  if (spawnSync('ssh-agent', ['-k']).error !== undefined) {
    report.skip('litewitness', 'ssh-agent is not installed: it keeps the key of the witness');
    return;
  }
  const directory = join(cache, 'witness');
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { mode: 0o700 });
  const database = join(directory, 'witness.db');
  await prepare(database, good.key);
  const { publicKey, privateKey } = generateEd25519();
  const keyFile = join(directory, 'key');
  await writeFile(keyFile, formatSshPrivateKey({ privateKey }), { mode: 0o600 });
  const socket = join(directory, 'agent');
  const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(agent.stdout, 'data');
  const added = spawnSync('ssh-add', [keyFile], { env: { ...process.env, SSH_AUTH_SOCK: socket }, encoding: 'utf8' });
  const ssh = sshPublicKeyOf(publicKey);
  const port = await freePort();
  const args = ['-db', database, '-name', name, '-key', sshFingerprint(ssh), '-ssh-agent', socket];
  const witness = spawn(program, [...args, '-listen', `127.0.0.1:${port}`], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = added.stderr;
  witness.stderr.on('data', (chunk: Buffer) => {
    said += chunk;
  });
  try {
    const url = `http://127.0.0.1:${port}`;
    await until(() => fetch(url).then(({ body }) => body?.cancel()), witness);
    await ask(report, { name, verifier: cosignatureVerifier(name, publicKey), url }, good, cache);
  } catch (error) {
    report.check(verifier, 'runs', false, `${error} ${said}`);
  } finally {
    witness.kill();
    agent.kill();
  }
}

async function ask(
  report: Report,
  witness: { readonly name: string; readonly verifier: ReturnType<typeof cosignatureVerifier>; readonly url: string },
  good: InteropLog,
  cache: string,
): Promise<void> {
  const { publication: source, verifiers, checkpoints } = good;
  const client = createWitnessClient({ source, origin: testOrigin, verifiers, post: postOverHttp });
  const attempt = async (what: string, isGood: boolean, act: () => Promise<unknown>) => {
    const error = await act().then(
      () => undefined,
      (cause: unknown) => cause,
    );
    report.check(verifier, what, isGood === (error === undefined), String(error ?? 'ok'));
  };
  for (const { size, note } of checkpoints) {
    await attempt(`cosigns size ${size}, and our client accepts its cosignature`, true, () =>
      client.cosign(witness, note),
    );
  }
  const last = checkpoints.at(-1)!;
  await attempt('cosigns the same again', true, () => client.cosign(witness, last.note));
  const fresh = createWitnessClient({ source, origin: testOrigin, verifiers, post: postOverHttp });
  await attempt('tells a client that knows nothing how far it is', true, () => fresh.cosign(witness, last.note));
  const forged = await makeLog(join(cache, 'logs'), good.signer, 'forged', true);
  const theirs = createWitnessClient({ source: forged.publication, origin: testOrigin, verifiers, post: postOverHttp });
  for (const { size, note } of forged.checkpoints) {
    await attempt(`rejects size ${size} of a rewritten log`, false, () => theirs.cosign(witness, note));
  }
  const stranger = await makeLog(join(cache, 'logs'), createTestSigner(), 'stranger');
  const direct = async (old: number, proof: readonly Uint8Array[], note: string) => {
    const { status } = await postOverHttp(
      `${witness.url}/add-checkpoint`,
      formatAddCheckpoint({ old, proof, checkpoint: note }),
    );
    if (status !== 200) throw new Error(`status ${status}`);
  };
  await attempt('rejects another key', false, () => direct(last.size, [], stranger.checkpoints.at(-1)!.note));
  await attempt('rejects a proof that does not belong', false, () => direct(last.size, [Buffer.alloc(32)], last.note));
}

/** Its own tool can't be built everywhere; these are the two rows that it would write. */
async function prepare(path: string, key: string): Promise<void> {
  const database = new DatabaseSync(path);
  database.exec('CREATE TABLE log (origin TEXT PRIMARY KEY, tree_size INTEGER NOT NULL, tree_hash TEXT NOT NULL)');
  database.exec(
    'CREATE TABLE key (origin TEXT NOT NULL, key TEXT NOT NULL, FOREIGN KEY(origin) REFERENCES log(origin))',
  );
  database.prepare('INSERT INTO log VALUES (?, 0, ?)').run(testOrigin, toBase64(emptyRoot));
  database.prepare('INSERT INTO key VALUES (?, ?)').run(testOrigin, key);
  database.close();
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function until(act: () => Promise<unknown>, process: ReturnType<typeof spawn>): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await act();
      return;
    } catch (error) {
      if (attempt >= 100 || process.exitCode !== null) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

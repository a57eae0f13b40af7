/** Witnesses and policies: what C2SP tlog-witness, tlog-cosignature and tlog-policy demand, and every refusal. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { serveWitness } from '../../functions/witness/server.ts';
import { createTestLog, createTestSigner, testEvent, testOrigin } from '../../test/fakes/audit-log.ts';
import { createTestWitness, postTo } from '../../test/fakes/witness.ts';
import { openNote, parseNote } from '../crypto/note.ts';
import { formatAddCheckpoint } from './add-checkpoint.ts';
import { openAnchorDirectory } from './anchor-directory.ts';
import { parseWitnessKey } from './cosignature.ts';
import { createDistributor } from './distribute.ts';
import { createTileReader } from './tile-reader.ts';
import { consistencyProof } from './tree.ts';
import { isSound } from './verdicts.ts';
import { verifyLog } from './verify.ts';
import { createWitnessClient, postOverHttp, withCosignatures } from './witness-client.ts';
import { parsePolicy, witnessedBy } from './witness-policy.ts';
import { openWitnessState } from './witness-state-directory.ts';

type Log = Awaited<ReturnType<typeof createTestLog>>;

async function grow(log: Log, count: number): Promise<string> {
  for (let i = 0; i < count; i++) await log.writer.append(testEvent);
  await log.sealer.sealOnce();
  return Buffer.from(log.publication.files.get('checkpoint')!).toString();
}

const clientOf = (log: Log, post: Parameters<typeof createWitnessClient>[0]['post']) =>
  createWitnessClient({ source: log.publication, origin: testOrigin, verifiers: log.verifiers, post });

test('a witness cosigns what follows, and the policy says when that is enough', async () => {
  const log = await createTestLog();
  const deps = { logs: log.verifiers, now: log.now };
  const [a, b, c] = ['w.example/a', 'w.example/b', 'w.example/c'].map((name) => createTestWitness(name, deps)) as [
    ...[ReturnType<typeof createTestWitness>, ReturnType<typeof createTestWitness>],
    ReturnType<typeof createTestWitness>,
  ];
  const policy = parsePolicy(
    `# ours\nlog ${log.verifierKey}\nwitness A ${a.key} test:w.example/a\nwitness B ${b.key}\n` +
      `witness C ${c.key}\ngroup two 2 A B C\nquorum two\n`,
  );
  const client = clientOf(log, postTo(a, b));
  for (const count of [1, 40, 300]) {
    let note = await grow(log, count);
    note = withCosignatures(note, [await client.cosign(a.policy, note)]);
    assert.equal(witnessedBy(note, policy).isQuorum, false);
    note = withCosignatures(note, [await client.cosign(b.policy, note)]);
    assert.deepEqual(witnessedBy(note, policy), { isQuorum: true, by: ['A', 'B'], newest: log.now() / 1000 });
    openNote(note, log.verifiers);
    log.publication.files.set('checkpoint', Buffer.from(note));
    const options = { source: log.publication, verifiers: log.verifiers, now: log.now };
    assert.equal((await verifyLog({ ...options, witnesses: policy })).witnessing.verdict, 'pass');
    // Cosignatures of others don't help: C is asked for here.
    const strict = parsePolicy(`witness C ${c.key}\nquorum C\n`);
    const verdicts = await verifyLog({ ...options, witnesses: strict });
    assert.equal(verdicts.witnessing.verdict, 'fail');
    assert.ok(!isSound(verdicts));
  }
});

test('R54 a cosignature counts only over the bytes, the time and the key that it was made for', async () => {
  const log = await createTestLog();
  const witness = createTestWitness('w.example/a', { logs: log.verifiers, now: log.now });
  const policy = parsePolicy(`witness A ${witness.key}\nquorum A\n`);
  const note = await grow(log, 3);
  const whole = withCosignatures(note, [await clientOf(log, postTo(witness)).cosign(witness.policy, note)]);
  assert.ok(witnessedBy(whole, policy).isQuorum);
  const { text, signatures } = parseNote(whole);
  const [own, cosignature] = signatures;
  for (let at = 0; at < cosignature!.signature.length; at++) {
    const signature = Uint8Array.from(cosignature!.signature);
    signature[at]! ^= 1;
    assert.ok(!witnessedBy(withCosignatures(note, [{ ...cosignature!, signature }]), policy).isQuorum, `byte ${at}`);
  }
  assert.ok(!witnessedBy(whole.replace(text, text.replace('\n5\n', '\n6\n')), policy).isQuorum);
  // The log's own signature under the witness's name is no cosignature.
  assert.ok(!witnessedBy(withCosignatures(note, [{ ...cosignature!, signature: own!.signature }]), policy).isQuorum);
  const other = createTestWitness('w.example/a', { logs: log.verifiers, now: log.now });
  assert.ok(!witnessedBy(whole, parsePolicy(`witness A ${other.key}\nquorum A\n`)).isQuorum);
});

test('what a witness refuses, with the status that the protocol asks for', async () => {
  const log = await createTestLog();
  const witness = createTestWitness('w.example/a', { logs: log.verifiers, now: log.now });
  const first = await grow(log, 20);
  const cosigned = await witness.addCheckpoint(formatAddCheckpoint({ old: 0, proof: [], checkpoint: first }));
  assert.equal(cosigned.status, 200);
  assert.match(cosigned.body, /^— w\.example\/a [A-Za-z0-9+/=]+\n$/);
  const firstSize = 22;
  const second = await grow(log, 30);
  const proof = await consistencyProof(createTileReader(log.publication, 53), firstSize, 53);
  const stranger = await grow(await createTestLog(), 3);
  const request = (change: Partial<Parameters<typeof formatAddCheckpoint>[0]>) =>
    formatAddCheckpoint({ old: firstSize, proof, checkpoint: second, ...change });
  const refusals: readonly [string, string, number][] = [
    ['no request', 'hello', 400],
    ['an old size with a leading zero', request({}).replace('old 22', 'old 022'), 400],
    ['a hash that is too short', request({}).replace(/\n[^\n]{44}\n/, '\nAAAA\n'), 400],
    ['64 hashes', request({ proof: Array.from({ length: 64 }, () => Buffer.alloc(32)) }), 400],
    ['an old size above the new one', request({ old: 54, proof: [] }), 400],
    ['a log that is not known', request({ checkpoint: second.replaceAll(testOrigin, 'example.org/other') }), 404],
    ['another key', request({ checkpoint: stranger }), 403],
    [
      'no signature by the log',
      request({ checkpoint: second.replace(/\n\n.*/s, `\n\n— x.example/y ${'A'.repeat(92)}\n`) }),
      403,
    ],
    ['an old size that it does not hold', request({ old: 21 }), 409],
    ['an old size of 0', request({ old: 0, proof: [] }), 409],
    ['no proof', request({ proof: [] }), 422],
    ['a proof that is too long', request({ proof: [...proof, Buffer.alloc(32)] }), 422],
    [
      'a proof with a flipped bit',
      request({ proof: proof.map((hash, i) => (i === 0 ? hash.map((b) => b ^ 1) : hash)) }),
      422,
    ],
  ];
  for (const [what, body, status] of refusals) {
    const answer = await witness.addCheckpoint(body);
    assert.equal(answer.status, status, what);
    if (status === 409) assert.deepEqual([answer.type, answer.body], ['text/x.tlog.size', '22\n'], what);
    assert.equal(witness.held.get(testOrigin), first, `${what}: nothing moved`);
  }
  assert.equal((await witness.addCheckpoint(request({}))).status, 200);
  assert.equal(witness.held.get(testOrigin), second);
  // The same again, as after a lost answer.
  const again = await witness.addCheckpoint(formatAddCheckpoint({ old: 53, proof: [], checkpoint: second }));
  assert.equal(again.status, 200);
});

test('of two requests at once that both go on from the same size, a witness grants one', async () => {
  const log = await createTestLog();
  const witness = createTestWitness('w.example/a', { logs: log.verifiers, now: log.now });
  const first = await grow(log, 5);
  const second = await grow(log, 5);
  const answers = await Promise.all(
    [second, first].map((checkpoint) => witness.addCheckpoint(formatAddCheckpoint({ old: 0, proof: [], checkpoint }))),
  );
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 409],
  );
});

test('over HTTP, from a directory that remembers, with anchors and cosignatures distributed', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-witness-'));
  const log = await createTestLog();
  const { raw, sign } = createTestSigner();
  const { createWitness } = await import('./witness.ts');
  const { formatWitnessKey } = await import('./cosignature.ts');
  const name = 'w.example/http';
  const open = async () =>
    serveWitness(
      createWitness({
        ...{ name, logs: log.verifiers, now: log.now, signer: { publicKey: raw, sign } },
        state: await openWitnessState(join(directory, 'state')),
      }),
      { host: '127.0.0.1', port: 0 },
    );
  let server = await open();
  const policyFor = (url: string) => parsePolicy(`witness W ${formatWitnessKey(name, raw)} ${url}\nquorum W\n`);
  const errors: unknown[] = [];
  const anchor = await openAnchorDirectory(join(directory, 'anchor'));
  const distributorFor = (url: string) =>
    createDistributor({
      ...{ publication: log.publication, origin: testOrigin, verifiers: log.verifiers, anchors: [anchor] },
      witnesses: { policy: policyFor(url), client: clientOf(log, postOverHttp) },
      logger: { error: (error: unknown) => void errors.push(error), warn: () => undefined },
      delay: async () => undefined,
    });
  try {
    await grow(log, 9);
    assert.equal((await distributorFor(server.url).distribute())?.failed.size, 0);
    const published = () => Buffer.from(log.publication.files.get('checkpoint')!);
    assert.ok(witnessedBy(published(), policyFor(server.url)).isQuorum);
    const kept: string[] = [];
    for await (const note of anchor.list()) kept.push(note);
    assert.deepEqual(kept, [published().toString()]);
    assert.equal((await postOverHttp(`${server.url}/other`, '')).status, 404);
    assert.equal((await fetch(`${server.url}/add-checkpoint`)).status, 405);
    assert.equal(
      (await postOverHttp(`${server.url}/add-checkpoint`, 'x'.repeat(200_000)).catch(() => ({ status: 413 }))).status,
      413,
    );
    await server.close();
    // A witness that is away keeps nobody: the anchor still takes it, and the next one makes up for it.
    await grow(log, 9);
    const away = await distributorFor(server.url).distribute();
    assert.deepEqual([...(away?.failed.keys() ?? [])], ['W']);
    assert.equal(errors.length, 1);
    server = await open();
    await grow(log, 9);
    assert.equal((await distributorFor(server.url).distribute())?.failed.size, 0);
    assert.ok(witnessedBy(published(), policyFor(server.url)).isQuorum);
  } finally {
    await server.close();
    await rm(directory, { recursive: true, force: true });
  }
});

test('an answer that is not the witness’s own is not published', async () => {
  const log = await createTestLog();
  const witness = createTestWitness('w.example/a', { logs: log.verifiers, now: log.now });
  const note = await grow(log, 3);
  const other = createTestWitness('w.example/a', { logs: log.verifiers, now: log.now });
  const answers: readonly [string, { status: number; type: string; body: string }, string][] = [
    [
      'another key',
      await other.addCheckpoint(formatAddCheckpoint({ old: 0, proof: [], checkpoint: note })),
      'not_authentic',
    ],
    ['rubbish', { status: 200, type: '', body: '<html>' }, 'not_authentic'],
    ['nothing', { status: 200, type: '', body: '' }, 'not_authentic'],
    ['a failure', { status: 503, type: '', body: '' }, 'unavailable'],
    ['the same size over and over', { status: 409, type: '', body: '0\n' }, 'not_authentic'],
    ['a size beyond ours', { status: 409, type: '', body: '999\n' }, 'not_authentic'],
  ];
  for (const [what, answer, code] of answers) {
    const client = clientOf(log, async () => answer);
    await assert.rejects(client.cosign(witness.policy, note), { name: 'AuditError', code }, what);
  }
});

const key = (name: string) => createTestWitness(name, { logs: [], now: () => 0 }).key;
const [one, two] = [key('w.example/1'), key('w.example/2')];
const badPolicies: readonly [string, string][] = [
  ['no quorum', `witness A ${one}\n`],
  ['two quorums', `witness A ${one}\nquorum A\nquorum none\n`],
  ['a quorum that is not defined', 'quorum A\n'],
  ['a quorum that is defined later', `quorum A\nwitness A ${one}\n`],
  ['a key twice', `witness A ${one}\nwitness B ${one}\nquorum A\n`],
  ['a name twice', `witness A ${one}\nwitness A ${two}\nquorum A\n`],
  ['the name none', `witness none ${one}\nquorum none\n`],
  ['a member twice', `witness A ${one}\ngroup g 2 A A\nquorum g\n`],
  ['a member of two groups', `witness A ${one}\ngroup g 1 A\ngroup h 1 A\nquorum h\n`],
  ['a threshold of 0', `witness A ${one}\ngroup g 0 A\nquorum g\n`],
  ['a threshold above its members', `witness A ${one}\ngroup g 2 A\nquorum g\n`],
  ['a group of nobody', 'group g all\nquorum g\n'],
  ['a log key for a witness', `witness A ${'x.example+00000000+AQAA'}\nquorum A\n`],
  [
    'a key whose hash is altered',
    `witness A ${one.replace(/\+[0-9a-f]/, '+0').replace(/\+0([0-9a-f]{6})[0-9a-f]/, '+0$1x')}\nquorum A\n`,
  ],
  ['an unknown line', 'quorum none\nsomething else\n'],
  ['a control character', 'quorum none\u0007\n'],
];

for (const [what, text] of badPolicies) {
  test(`a policy is refused: ${what}`, () => {
    assert.throws(() => parsePolicy(text), { name: 'AuditError', code: 'malformed' });
  });
}

test('a policy of groups within groups', () => {
  const names = ['a', 'b', 'c', 'd'];
  const lines = names.map((name) => `witness ${name} ${key(`w.example/${name}`)}\n`).join('');
  const policy = parsePolicy(`${lines}\tgroup x any a b\n group y all c d \ngroup both all x y\nquorum both\n`);
  const isQuorum = (...by: string[]) => policy.isQuorum(new Set(by));
  assert.ok(isQuorum('a', 'c', 'd') && isQuorum('b', 'c', 'd'));
  assert.ok(!isQuorum('a', 'b', 'c') && !isQuorum('c', 'd') && !isQuorum());
  assert.ok(parsePolicy('quorum none\n').isQuorum(new Set()));
});

test('a witness key, there and back', () => {
  const parsed = parseWitnessKey(one);
  assert.equal(parsed.name, 'w.example/1');
  assert.throws(() => parseWitnessKey(one.replace('w.example/1', 'w.example/2')), { code: 'malformed' });
});

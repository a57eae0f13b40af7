/** Known-bad logs: each is refused, and the first bad entry is named where it can be known. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { before, test } from 'node:test';
import { runCli } from '../../cli/program.ts';
import { createTestLog, createTestSigner, type TestSigner, testEvent, testOrigin } from '../../test/fakes/audit-log.ts';
import { canonicalize, type Json } from '../crypto/jcs.ts';
import { formatVerifierKey, noteVerifier, signNote } from '../crypto/note.ts';
import { bodyHash, laneHash } from './chain.ts';
import { formatCheckpoint } from './checkpoint.ts';
import { type Entry, parseEntry } from './entry.ts';
import { appendEntry, emitPartial, emptyFrontier } from './frontier.ts';
import { bundlePath, decodeBundle, encodeBundle, tilePath } from './tiles.ts';
import { rootOf } from './tree.ts';
import { isSound, type Question } from './verdicts.ts';
import { type VerifyOptions, verifyLog } from './verify.ts';

type Files = Map<string, Uint8Array>;

let signer: TestSigner;
let good: Files;
let entries: Uint8Array[];
/** Checkpoints as they were published on the way: what an anchor remembers. */
let history: { size: number; files: Files }[];
let time: number;

before(async () => {
  const log = await createTestLog({ writer: { lanes: 2 } });
  history = [];
  for (const count of [10, 120, 190]) {
    await Promise.all(Array.from({ length: count }, () => log.writer.append(testEvent)));
    const { size } = (await log.sealer.sealOnce())!;
    history.push({ size, files: new Map(log.publication.files) });
    log.clock.time += 1000;
  }
  ({ signer } = log);
  good = log.publication.files;
  time = log.clock.time;
  entries = [bundlePath({ index: 0, width: 256 }), bundlePath({ index: 1, width: 68 })].flatMap((path, i) =>
    decodeBundle(good.get(path)!, i === 0 ? 256 : 68, true),
  );
});

function verify(files: Files, options: Partial<VerifyOptions> = {}) {
  const source = { read: async (path: string) => files.get(path) };
  return verifyLog({ source, verifiers: [noteVerifier(testOrigin, signer.raw)], now: () => time, ...options });
}

/** What an attacker who holds some key can publish: everything computed anew over other entries. */
async function publish(list: readonly Uint8Array[], key: TestSigner = signer, origin = testOrigin): Promise<Files> {
  const files: Files = new Map();
  const frontier = emptyFrontier();
  const sink = {
    tile: (ref: Parameters<typeof tilePath>[0], bytes: Uint8Array) => void files.set(tilePath(ref), bytes),
    bundle: (ref: Parameters<typeof bundlePath>[0], bytes: Uint8Array) => void files.set(bundlePath(ref), bytes),
  };
  for (const entry of list) appendEntry(frontier, entry, sink);
  emitPartial(frontier, sink);
  files.set('checkpoint', await sign({ origin, size: list.length, root: rootOf(frontier.range) }, key));
  return files;
}

async function sign(checkpoint: Parameters<typeof formatCheckpoint>[0], key: TestSigner): Promise<Uint8Array> {
  const text = formatCheckpoint(checkpoint);
  return Buffer.from(await signNote(text, checkpoint.origin, { publicKey: key.raw, sign: key.sign }));
}

/** Without the key: entries and tiles are the attacker's, the checkpoint is the signed one. */
async function keepCheckpoint(list: readonly Uint8Array[]): Promise<Files> {
  return (await publish(list)).set('checkpoint', good.get('checkpoint')!);
}

/** Only the entry bundles are changed; the tiles stay. */
async function keepTiles(list: readonly Uint8Array[]): Promise<Files> {
  const forged = await publish(list);
  const files = new Map(good);
  for (const [path, bytes] of forged) if (path.startsWith('tile/entries/')) files.set(path, bytes);
  return files;
}

function edit(bytes: Uint8Array, change: (entry: Record<string, unknown>) => void): Uint8Array {
  const entry = JSON.parse(Buffer.from(bytes).toString());
  change(entry);
  return Buffer.from(canonicalize(entry as Json));
}

function set(name: string, value: unknown) {
  return (entry: Record<string, unknown>) => {
    entry[name] = value;
  };
}

function setMark(lane: string, n: number) {
  return (entry: Record<string, unknown>) => {
    (entry['detail'] as { lanes: Record<string, number> }).lanes[lane] = n;
  };
}

const parsed = (i: number): Entry => parseEntry(entries[i]!);
/** An entry of a writer's lane, well inside the log, which is not the first of its lane. */
const victim = () => entries.findIndex((_, i) => i > 40 && parsed(i).lane !== 'log' && parsed(i).n > 0);
const replaced = (i: number, bytes: Uint8Array) => entries.map((entry, at) => (at === i ? bytes : entry));
const swapped = (i: number, j: number) => entries.map((e, at) => (at === i ? entries[j]! : at === j ? entries[i]! : e));
const withFile = (path: string, change: (bytes: Uint8Array) => Uint8Array | undefined) => {
  const files = new Map(good);
  const bytes = change(Uint8Array.from(good.get(path)!));
  if (bytes === undefined) files.delete(path);
  else files.set(path, bytes);
  return files;
};
const flip = (at: number) => (bytes: Uint8Array) => {
  bytes[at]! ^= 1;
  return bytes;
};

/** From entry i on, the lane of entry i is chained again, as one who has the log's key could do. */
function rechain(list: readonly Uint8Array[], i: number): Uint8Array[] {
  const { lane } = parseEntry(list[i]!);
  let previous: string | undefined;
  return list.map((bytes, at) => {
    const entry = parseEntry(bytes);
    if (entry.lane !== lane) return bytes;
    const again = at > i && previous !== undefined ? edit(bytes, set('prev', previous)) : bytes;
    const { prev, n } = parseEntry(again);
    previous = laneHash(testOrigin, lane, n, bodyHash(again), prev);
    return again;
  });
}

const outcome = set('outcome', 'failure');

type Case = {
  readonly name: string;
  readonly files: () => Promise<Files> | Files;
  readonly fails: Question;
  readonly index?: () => number;
  readonly options?: () => Partial<VerifyOptions>;
};

const cases: readonly Case[] = [
  {
    name: 'a byte of an entry is edited',
    files: () => keepTiles(replaced(victim(), flip(9)(Uint8Array.from(entries[victim()]!)))),
    fails: 'integrity',
    index: victim,
  },
  {
    name: 'an entry is edited and stays canonical',
    files: () => keepTiles(replaced(victim(), edit(entries[victim()]!, outcome))),
    fails: 'integrity',
    index: victim,
  },
  {
    name: 'an entry is edited and all tiles are made anew',
    files: () => keepCheckpoint(replaced(victim(), edit(entries[victim()]!, outcome))),
    fails: 'integrity',
  },
  { name: 'an entry is deleted', files: () => keepCheckpoint(entries.toSpliced(victim(), 1)), fails: 'integrity' },
  {
    name: 'an entry is deleted by one who has the key',
    files: () => publish(entries.toSpliced(victim(), 1)),
    fails: 'completeness',
  },
  {
    name: 'an entry is inserted',
    files: () => keepTiles(entries.toSpliced(victim(), 0, edit(entries[victim()]!, outcome))),
    fails: 'integrity',
    index: victim,
  },
  {
    name: 'two entries are swapped',
    files: () => keepTiles(swapped(victim(), victim() + 3)),
    fails: 'integrity',
    index: victim,
  },
  {
    name: 'entries of one lane are reordered by one who has the key',
    files: () => publish(swapped(victim(), victim() + 2)),
    fails: 'completeness',
  },
  {
    name: 'an entry is duplicated by one who has the key',
    files: () => publish(entries.toSpliced(victim(), 0, entries[victim()]!)),
    fails: 'completeness',
    index: () => victim() + 1,
  },
  {
    name: 'the tail is cut, the checkpoint stays',
    files: () => withFile(bundlePath({ index: 1, width: 68 }), () => undefined),
    fails: 'integrity',
    index: () => 256,
  },
  {
    name: 'the tail is cut inside a bundle, the checkpoint stays',
    files: () => withFile(bundlePath({ index: 1, width: 68 }), () => encodeBundle(entries.slice(256, -3))),
    fails: 'integrity',
    index: () => 321,
  },
  {
    name: 'the tail is cut with its checkpoint: an anchor remembers',
    files: () => history[1]!.files,
    fails: 'anchoring',
    options: () => ({ anchors: [good.get('checkpoint')!] }),
  },
  {
    name: 'the tail is cut with its checkpoint: it is old',
    files: () => history[1]!.files,
    fails: 'freshness',
    options: () => ({ now: () => time + 3_600_000, maxAgeMs: 60_000 }),
  },
  {
    name: 'the tail is cut in the middle of a block by one who has the key',
    files: () => publish(entries.slice(0, -1)),
    fails: 'completeness',
  },
  {
    name: 'a fork, signed with the key: an anchor remembers',
    files: () => publish(rechain(replaced(victim(), edit(entries[victim()]!, outcome)), victim())),
    fails: 'anchoring',
    options: () => ({ anchors: [good.get('checkpoint')!] }),
  },
  {
    name: 'a rewrite of what a later entry has seen, signed with the key',
    files: () => publish(rechain(replaced(3, edit(entries[3]!, outcome)), 3)),
    fails: 'integrity',
  },
  {
    name: 'everything is computed anew under another key of the same name',
    files: () => publish(entries, createTestSigner()),
    fails: 'integrity',
  },
  {
    name: 'the checkpoint is signed again under another key',
    files: async () => new Map(good).set('checkpoint', (await publish(entries, createTestSigner())).get('checkpoint')!),
    fails: 'integrity',
  },
  {
    name: 'a signature is altered',
    files: () =>
      withFile('checkpoint', (note) =>
        Buffer.from(
          Buffer.from(note)
            .toString()
            .replace(/(.{9})\n$/, 'AAAAAAAA=\n'),
        ),
      ),
    fails: 'integrity',
  },
  {
    name: 'a tile of leaves is altered',
    files: () => withFile('tile/0/000', flip(32 * 77 + 5)),
    fails: 'integrity',
    index: () => 77,
  },
  {
    name: 'a hash in an upper tile is altered',
    files: () => withFile('tile/1/000.p/1', flip(31)),
    fails: 'integrity',
    index: () => 0,
  },
  {
    name: 'a tile is missing',
    files: () => withFile('tile/0/001.p/68', () => undefined),
    fails: 'integrity',
    index: () => 256,
  },
  {
    name: 'a tile is too short',
    files: () => withFile('tile/0/000', (bytes) => bytes.subarray(0, 32 * 255)),
    fails: 'integrity',
    index: () => 255,
  },
  {
    name: 'the checkpoint is of another origin',
    files: () => publish(entries, signer, 'holdfast.local/other'),
    fails: 'integrity',
  },
  {
    name: 'the entries are of another origin',
    files: () => publish(replaced(1, edit(entries[1]!, set('log', 'holdfast.local/other')))),
    fails: 'integrity',
    index: () => 1,
  },
  {
    name: 'the checkpoint claims a larger size',
    files: async () =>
      new Map(good).set('checkpoint', await sign({ origin: testOrigin, size: 400, root: Buffer.alloc(32) }, signer)),
    fails: 'integrity',
  },
  {
    name: 'the checkpoint claims a smaller size',
    files: async () =>
      new Map(good).set('checkpoint', await sign({ origin: testOrigin, size: 300, root: Buffer.alloc(32) }, signer)),
    fails: 'integrity',
  },
  {
    name: 'a lane has a gap that is chained over',
    files: () => publish(rechain(entries.toSpliced(victim(), 1), victim())),
    fails: 'completeness',
  },
  {
    name: 'a lane is chained anew under the old checkpoint',
    files: () => keepCheckpoint(rechain(replaced(victim(), edit(entries[victim()]!, outcome)), victim())),
    fails: 'integrity',
  },
  {
    name: 'prev is altered by one who has the key',
    files: () => publish(replaced(victim(), edit(entries[victim()]!, set('prev', 'f'.repeat(64))))),
    fails: 'integrity',
    index: victim,
  },
  {
    name: 'an entry is encoded in another way',
    files: () =>
      publish(
        replaced(
          victim(),
          Buffer.from(JSON.stringify({ v: 1, ...JSON.parse(Buffer.from(entries[victim()]!).toString()) })),
        ),
      ),
    fails: 'integrity',
    index: victim,
  },
  {
    name: 'an entry has white space',
    files: () => publish(replaced(victim(), Buffer.from(` ${Buffer.from(entries[victim()]!)}`))),
    fails: 'integrity',
    index: victim,
  },
  {
    name: 'an entry is huge',
    files: () => publish(replaced(victim(), edit(entries[victim()]!, set('detail', { x: 'a'.repeat(9000) })))),
    fails: 'integrity',
    index: victim,
  },
  {
    name: 'an entry is empty',
    files: () => publish(replaced(victim(), new Uint8Array())),
    fails: 'integrity',
    index: victim,
  },
  {
    name: 'a bundle is truncated',
    files: () => withFile(bundlePath({ index: 0, width: 256 }), (bytes) => bytes.subarray(0, bytes.length - 1)),
    fails: 'integrity',
    index: () => 255,
  },
  {
    name: 'a bundle goes on after its end',
    files: () => withFile(bundlePath({ index: 0, width: 256 }), (bytes) => Buffer.concat([bytes, Buffer.alloc(3)])),
    fails: 'integrity',
    index: () => 256,
  },
  {
    name: 'a high-water mark is lowered by one who has the key',
    files: () => publish(replaced(323, edit(entries[323]!, setMark('w-0', 1)))),
    fails: 'completeness',
    index: () => 323,
  },
  {
    name: 'the log does not begin with its log.open',
    files: () => publish(entries.slice(1)),
    fails: 'completeness',
    index: () => 0,
  },
  {
    name: 'the newest block is dated in the future',
    files: () => new Map(good),
    fails: 'freshness',
    options: () => ({ now: () => time - 3_600_000 }),
  },
  {
    name: 'an anchor is not of this log',
    files: () => new Map(good),
    fails: 'anchoring',
    options: () => ({ anchors: ['nonsense\n'] }),
  },
  { name: 'there is no checkpoint', files: () => withFile('checkpoint', () => undefined), fails: 'integrity' },
];

test('R29 the log that nobody touched passes', async () => {
  const seen: number[] = [];
  const anchors = history.map(({ files }) => files.get('checkpoint')!);
  const verdicts = await verify(good, { anchors, onProgress: ({ done }) => void seen.push(done) });
  assert.ok(isSound(verdicts), JSON.stringify(verdicts));
  const { integrity, completeness, freshness, anchoring, witnessing } = verdicts;
  const all = [integrity, completeness, freshness, anchoring].map(({ verdict }) => verdict);
  assert.deepEqual(all, ['pass', 'pass', 'pass', 'pass']);
  assert.equal(witnessing.verdict, 'not_checked');
  assert.equal(verdicts.size, 324);
  assert.deepEqual(seen, [256, 324]);
});

for (const { name, files, fails, index, options } of cases) {
  test(`R29 refused: ${name}`, async () => {
    const verdicts = await verify(await files(), options?.());
    assert.equal(verdicts[fails].verdict, 'fail', JSON.stringify(verdicts));
    assert.ok(!isSound(verdicts));
    assert.ok(Number.isSafeInteger(verdicts[fails].index), `names an entry: ${JSON.stringify(verdicts)}`);
    if (index !== undefined) assert.equal(verdicts[fails].index, index(), JSON.stringify(verdicts));
  });
}

test('R29 the command exits with 5 and names the first bad entry', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-tampering-'));
  try {
    for (const [i, { name, files, fails, index }] of cases.filter((each) => each.index && !each.options).entries()) {
      const log = join(directory, `${i}`);
      for (const [path, bytes] of await files()) {
        await mkdir(dirname(join(log, path)), { recursive: true });
        await writeFile(join(log, path), bytes);
      }
      const out: string[] = [];
      const errors: string[] = [];
      const terminal = {
        ...{ out: (text: string) => void out.push(text), err: (text: string) => void errors.push(text) },
        ...{ width: undefined, interactive: false, environment: {}, stopped: async () => undefined },
      };
      const args = ['audit', 'verify', log, '--log-key', formatVerifierKey(testOrigin, signer.raw), '--max-age', 'any'];
      assert.equal(await runCli(args, terminal), 5, `${name}: ${errors.join('')}`);
      assert.match(out.join(''), new RegExp(`^${fails} +FAIL .*\\(entry ${index?.()}\\)$`, 'm'), name);
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

test('R54 every bit of the checkpoint counts', async () => {
  const note = good.get('checkpoint')!;
  for (let at = 0; at < note.length; at += 1) {
    const verdicts = await verify(new Map(good).set('checkpoint', flip(at)(Uint8Array.from(note))), {
      parseEntries: false,
    });
    assert.equal(verdicts.integrity.verdict, 'fail', `byte ${at}`);
  }
});

test('without looking into entries, completeness is not claimed', async () => {
  const verdicts = await verify(good, { parseEntries: false });
  assert.equal(verdicts.integrity.verdict, 'pass');
  assert.equal(verdicts.completeness.verdict, 'not_checked');
  assert.equal(verdicts.freshness.verdict, 'not_checked');
});

/** What the configuration names gets every checkpoint, the last one included. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pino } from 'pino';
import { parsePolicy, witnessedBy } from '../../lib/audit/witness-policy.ts';
import { createTestLog, testEvent, testOrigin } from '../../test/fakes/audit-log.ts';
import { createTestWitness } from '../../test/fakes/witness.ts';
import { serveWitness } from '../witness/server.ts';
import { parseConfig } from './config.ts';
import { startDistribution } from './distribution.ts';

const logger = pino({ level: 'silent' });

test('R30 the last checkpoint of a process is cosigned and anchored', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-distribution-'));
  const log = await createTestLog();
  const witness = createTestWitness('w.example/a', { logs: log.verifiers, now: log.now });
  const server = await serveWitness(witness, { host: '127.0.0.1', port: 0 });
  try {
    const policy = `witness A ${witness.key} ${server.url}\nquorum A\n`;
    const witnesses = join(directory, 'policy');
    const anchor = join(directory, 'anchor');
    await writeFile(witnesses, policy);
    const common = { log: { origin: testOrigin, key: log.verifierKey }, publication: log.publication, logger };
    const stop = await startDistribution({ ...common, config: { anchors: [anchor], witnesses } });
    await log.writer.append(testEvent);
    await log.sealer.sealOnce();
    await stop();
    const [name = ''] = await readdir(anchor);
    assert.equal(name, '0000000000000003.checkpoint');
    const kept = await readFile(join(anchor, name), 'utf8');
    assert.ok(witnessedBy(kept, parsePolicy(policy)).isQuorum);
    assert.equal(kept, Buffer.from(log.publication.files.get('checkpoint')!).toString());
    for (const config of [{ anchors: [witnesses] }, { anchors: [], witnesses: anchor }]) {
      await assert.rejects(startDistribution({ ...common, config }), { name: 'StandaloneError', code: 'bad_config' });
    }
    await (await startDistribution({ ...common, config: undefined }))();
  } finally {
    await server.close();
    await rm(directory, { recursive: true, force: true });
  }
});

test('anchors and policies are named by whole paths', () => {
  const parse = (log: unknown) => {
    const config = {
      v: 1,
      listen: '127.0.0.1',
      names: [],
      ports: { api: 0, gateway: 0 },
      auth: { method: 'isowebauth' },
      log,
    };
    return parseConfig(Buffer.from(JSON.stringify(config)), 'config.json');
  };
  assert.deepEqual(parse({ anchors: ['/mnt/a'] }).log, { anchors: ['/mnt/a'] });
  assert.throws(() => parse({ anchors: ['a'] }), { code: 'bad_config' });
  assert.throws(() => parse({ anchors: [], verify: false }), { code: 'bad_config' });
});

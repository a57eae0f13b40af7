import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DirectoryNode } from '../../lib/identity/directory.ts';
import { nodeKey } from '../../lib/identity/nodes.ts';
import { createMemoryStore } from '../../lib/store/memory.ts';
import { silentLogger } from '../../test/fakes/gateway-fleet.ts';
import { createSeenLog, seenInterval } from './seen.ts';

const minute = 60_000;

test('R55 a node is written down as seen every 15 minutes, and less often by a gateway that holds very many', () => {
  assert.equal(seenInterval(1), 15 * minute);
  assert.equal(seenInterval(7_500), 15 * minute);
  assert.equal(seenInterval(20_000), 40 * minute);
  for (const connected of [1, 7_499, 7_501, 25_000, 100_000])
    assert(connected / (seenInterval(connected) / 1000) <= 8.4, `${connected}`);
});

test('R55 within the interval nothing is written, unless what the node holds has changed', async () => {
  const store = createMemoryStore();
  const uuid = '0f0b988f-0b56-4cdc-9875-c1175a79be37';
  await store.transact([{ kind: 'put', item: { ...nodeKey(uuid), state: 'active' } }]);
  const clock = { now: Date.UTC(2030, 0, 1), connected: 40_000 };
  const seen = createSeenLog({ store, logger: silentLogger, now: () => clock.now, connected: () => clock.connected });
  const node = { uuid } as DirectoryNode;
  const noted = async (agentVersion: string) => {
    seen.note(node, { agentVersion });
    await seen.settled();
    return (await store.get(nodeKey(uuid)))?.['seenAt'];
  };
  const first = clock.now;
  assert.equal(await noted('1.0.0'), first);
  clock.now += 79 * minute;
  assert.equal(await noted('1.0.0'), first);
  assert.equal(await noted('1.0.1'), clock.now);
  clock.now += 80 * minute;
  assert.equal(await noted('1.0.1'), clock.now);
});

/** A node that visits its control plane remembers the audit log, and what the server proves holds against that memory. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { CheckpointView } from '../../functions/admin/routes/audit.ts';
import { openDirectorySource } from '../../lib/audit/source-directory.ts';
import { isSound } from '../../lib/audit/verdicts.ts';
import { verifyLog } from '../../lib/audit/verify.ts';
import { parseVerifierKey } from '../../lib/crypto/note.ts';
import { converge, startFleet } from './fleet.ts';

test('R30 what a node remembers is an anchor of the log', async (t) => {
  const fleet = await startFleet(t);
  // The log is published within a second of the start; each look at it is one request, not a wait for a time.
  while ((await fleet.client.get<CheckpointView>('/v1/audit/checkpoint')).size === 0);
  const { agent, state } = await fleet.join('node-1');
  await converge(agent);
  const remembered = await readFile(join(state, 'checkpoint'), 'utf8');
  const verdicts = await verifyLog({
    source: openDirectorySource(fleet.server.paths.log),
    verifiers: [parseVerifierKey(fleet.server.fleet.descriptor.log.key)],
    anchors: [remembered],
    now: Date.now,
  });
  assert.ok(isSound(verdicts), JSON.stringify(verdicts));
  assert.equal(verdicts.anchoring.verdict, 'pass');
});

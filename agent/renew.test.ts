import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { privateKeyToPem } from '../lib/crypto/ed25519.ts';
import { generateP256 } from '../lib/crypto/x509.ts';
import { revokeNode } from '../lib/identity/nodes.ts';
import { operator } from '../test/fakes/fleet.ts';
import {
  contents,
  dayMs,
  newDirectory,
  openFleet,
  type ServerOptions,
  startServer,
} from '../test/fakes/identity-server.ts';
import { join } from './join.ts';
import { renewIfDue } from './renew.ts';
import { openStateDirectory } from './state.ts';

describe('renew', () => {
  async function joined(t: TestContext, options: ServerOptions = {}) {
    const fleet = await openFleet();
    const server = await startServer(t, fleet, options);
    const stateDir = await newDirectory(t);
    const now = () => fleet.clock.now;
    const { node } = await join({
      server: server.url,
      token: await fleet.token(),
      stateDir,
      hostname: 'web',
      version: '0.1.0',
      now,
    });
    return { fleet, server, stateDir, now, node, state: await openStateDirectory(stateDir) };
  }

  test('at half of its life the certificate and its key are renewed, and not before', async (t) => {
    const { fleet, state, stateDir, now, server } = await joined(t);
    const early = await renewIfDue(state, now);
    assert.equal(early.renewed, false);
    const share = (early.nextAt - fleet.clock.now) / dayMs;
    assert.ok(share > 0.44 && share < 0.56, String(share));
    const before = await contents(stateDir);
    fleet.clock.now = early.nextAt;
    const due = await renewIfDue(state, now);
    assert.equal(due.renewed, true);
    assert.ok(due.nextAt > early.nextAt);
    const after = await contents(stateDir);
    assert.notEqual(after['tls.key.pem'], before['tls.key.pem']);
    assert.notEqual(after['tls.cert.pem'], before['tls.cert.pem']);
    assert.equal(after['identity.pem'], before['identity.pem']);
    assert.equal((await renewIfDue(state, now)).renewed, false);
    assert.equal(server.requests.length, 3);
  });

  test('R53 a node whose certificate expired comes back; one without or with a foreign key file, too', async (t) => {
    const { fleet, state, now } = await joined(t);
    fleet.clock.now += 30 * dayMs;
    assert.equal((await renewIfDue(state, now)).renewed, true);
    fleet.clock.now += 1;
    await state.remove('tls.cert.pem');
    assert.equal((await renewIfDue(state, now)).renewed, true);
    fleet.clock.now += 1;
    await state.write('tls.key.pem', Buffer.from(privateKeyToPem(generateP256().privateKey)));
    assert.equal((await renewIfDue(state, now)).renewed, true);
  });

  test('R08 a revoked node is refused, and what it holds stays as it is', async (t) => {
    const { fleet, state, stateDir, now, node } = await joined(t);
    await revokeNode(fleet.issuance, { uuid: node.uuid, actor: operator });
    const before = await contents(stateDir);
    fleet.clock.now += 0.6 * dayMs;
    await assert.rejects(renewIfDue(state, now), { code: 'refused' });
    assert.deepEqual(await contents(stateDir), before);
  });
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  createMachine,
  createTestFleet,
  enrollBytes,
  openStore,
  operator,
  type TestFleet,
} from '../../test/fakes/fleet.ts';
import { parseNodeCertificate } from '../crypto/x509.ts';
import { enroll } from './enroll.ts';
import { identityFingerprint } from './fingerprint.ts';
import { getNode, listNodes, quarantineNode, revokeNode } from './nodes.ts';
import { enrollRefusalText } from './refusal.ts';
import { cancelEnrollmentToken, listEnrollmentTokens } from './tokens.ts';

const refused = { name: 'IdentityError', code: 'refused', message: enrollRefusalText };

async function nodesOf(fleet: TestFleet) {
  return Array.fromAsync(listNodes(fleet.store));
}

function lastReason(fleet: TestFleet) {
  return fleet.audit.of('node.enroll.refuse').at(-1)?.detail?.['reason'];
}

describe('enroll', () => {
  test('a token makes a node with the name, labels and keys that were enrolled', async () => {
    const fleet = await createTestFleet();
    const machine = await createMachine({ hostname: 'Web-1.Example.com' });
    const answer = await enroll(fleet.issuance, enrollBytes(machine, await fleet.token({ labels: { role: 'web' } })));

    assert.deepEqual(answer.node, { name: 'web-1.example.com', labels: { role: 'web' } });
    const trust = { fleet: 'testfleet', authority: fleet.authority, now: fleet.clock.now };
    const certificate = parseNodeCertificate(answer.certificate, trust);
    assert.equal(certificate.uuid, machine.uuid);
    assert.equal(certificate.notAfter, fleet.clock.now + 24 * 3_600_000);
    const node = await getNode(fleet.store, machine.uuid);
    assert.equal(node?.state, 'active');
    assert.deepEqual(Buffer.from(node?.identityKey ?? []), Buffer.from(machine.identity.publicKey));
    const [entry, ...more] = fleet.audit.of('node.enroll');
    assert.equal(more.length, 0);
    assert.equal(entry?.actor.auth, 'enrollment-token');
    assert.equal(entry?.detail?.['fingerprint'], identityFingerprint(machine.identity.publicKey));
  });

  test('R06 retry with the same token, key and UUID returns the same node and leaves one success', async () => {
    const fleet = await createTestFleet();
    const machine = await createMachine();
    const bytes = enrollBytes(machine, await fleet.token());
    const first = await enroll(fleet.issuance, bytes);
    fleet.clock.now += 60_000;
    const second = await enroll(fleet.issuance, bytes);
    assert.deepEqual(second.node, first.node);
    assert.notDeepEqual(second.certificate, first.certificate);
    assert.equal((await nodesOf(fleet)).length, 1);
    assert.equal(fleet.audit.of('node.enroll').length, 1);
    assert.equal(fleet.audit.of('node.renew').length, 1);
  });

  test('R06 retry with another identity key, sealing key or UUID is refused and audited', async () => {
    const fleet = await createTestFleet();
    const machine = await createMachine();
    const token = await fleet.token();
    await enroll(fleet.issuance, enrollBytes(machine, token));
    const before = await getNode(fleet.store, machine.uuid);
    const other = await createMachine();
    for (const change of [{ identity: other.identity }, { sealingKey: other.sealingKey }, { uuid: other.uuid }]) {
      await assert.rejects(enroll(fleet.issuance, enrollBytes({ ...machine, ...change }, token)), refused);
      assert.equal(lastReason(fleet), 'token_used');
    }
    assert.deepEqual(await getNode(fleet.store, machine.uuid), before);
    assert.equal((await nodesOf(fleet)).length, 1);
  });

  test('R06 retry after the token expired is refused', async () => {
    const fleet = await createTestFleet();
    const bytes = enrollBytes(await createMachine(), await fleet.token());
    await enroll(fleet.issuance, bytes);
    fleet.clock.now += 24 * 3_600_000;
    await assert.rejects(enroll(fleet.issuance, bytes), refused);
    assert.equal(lastReason(fleet), 'token_expired');
  });

  test('R06 a lost certificate is recovered by the retry', async () => {
    const fleet = await createTestFleet();
    const bytes = enrollBytes(await createMachine(), await fleet.token());
    const { certificates } = fleet.issuance;
    const failing = { ...certificates, issue: () => Promise.reject(new Error('the signer is away')) };
    await assert.rejects(enroll({ ...fleet.issuance, certificates: failing }, bytes), /the signer is away/);
    assert.equal((await enroll(fleet.issuance, bytes)).node.name, 'web-1.example.com');
    assert.equal(fleet.audit.of('node.enroll').length, 1);
  });

  for (const [reason, spoil] of [
    [
      'token_expired',
      async (fleet: TestFleet) => {
        fleet.clock.now += 24 * 3_600_000;
      },
    ],
    [
      'token_cancelled',
      async (fleet: TestFleet) => {
        const [token] = (await listEnrollmentTokens(fleet.store, { limit: 1 })).tokens;
        await cancelEnrollmentToken(fleet, { id: token?.id ?? '', actor: operator });
      },
    ],
  ] as const) {
    test(`${reason} is refused, with the uniform text and an own entry`, async () => {
      const fleet = await createTestFleet();
      const token = await fleet.token();
      await spoil(fleet);
      await assert.rejects(enroll(fleet.issuance, enrollBytes(await createMachine(), token)), refused);
      assert.equal(lastReason(fleet), reason);
      assert.equal((await nodesOf(fleet)).length, 0);
    });
  }

  test('token_unknown is refused with the uniform text, and names no token', async () => {
    const fleet = await createTestFleet();
    const elsewhere = await createTestFleet();
    await assert.rejects(enroll(fleet.issuance, enrollBytes(await createMachine(), await elsewhere.token())), refused);
    assert.equal(lastReason(fleet), 'token_unknown');
    assert.equal(fleet.audit.of('node.enroll.refuse')[0]?.detail?.['token'], undefined);
  });

  test('a token for one hostname pattern or one key is refused to others, and stays open', async () => {
    const fleet = await createTestFleet();
    const machine = await createMachine({ hostname: 'web-7.example.com' });
    const named = await fleet.token({ hostname: 'db-*.example.com' });
    await assert.rejects(enroll(fleet.issuance, enrollBytes(machine, named)), refused);
    assert.equal(lastReason(fleet), 'token_hostname');
    const keyed = await fleet.token({ fingerprint: identityFingerprint(machine.identity.publicKey) });
    await assert.rejects(enroll(fleet.issuance, enrollBytes(await createMachine(), keyed)), refused);
    assert.equal(lastReason(fleet), 'token_fingerprint');
    await enroll(fleet.issuance, enrollBytes(machine, keyed));
    await enroll(fleet.issuance, enrollBytes(await createMachine({ hostname: 'DB-3.example.com' }), named));
  });

  test('incident 9: a second enrollment naming an existing UUID never changes that host', async () => {
    const fleet = await createTestFleet();
    const victim = await createMachine();
    await enroll(fleet.issuance, enrollBytes(victim, await fleet.token()));
    const before = await getNode(fleet.store, victim.uuid);
    const fresh = await fleet.token({ labels: { role: 'attacker' } });
    const attacker = await createMachine({ uuid: victim.uuid, hostname: 'evil.example.com' });
    await assert.rejects(enroll(fleet.issuance, enrollBytes(attacker, fresh)), refused);
    assert.equal(lastReason(fleet), 'uuid_exists');
    await assert.rejects(enroll(fleet.issuance, enrollBytes(victim, fresh)), refused);
    assert.deepEqual(await getNode(fleet.store, victim.uuid), before);
    await enroll(fleet.issuance, enrollBytes(await createMachine(), fresh));
  });

  test('one identity key is never two nodes', async () => {
    const fleet = await createTestFleet();
    const first = await createMachine();
    await enroll(fleet.issuance, enrollBytes(first, await fleet.token()));
    const second = await createMachine({ identity: first.identity });
    await assert.rejects(enroll(fleet.issuance, enrollBytes(second, await fleet.token())), refused);
    assert.equal(lastReason(fleet), 'key_exists');
    assert.equal((await nodesOf(fleet)).length, 1);
  });

  test('R09 a revoked UUID is refused for ever: same token, fresh token, new key; a new UUID works', async () => {
    const fleet = await createTestFleet();
    const machine = await createMachine();
    const bytes = enrollBytes(machine, await fleet.token());
    await enroll(fleet.issuance, bytes);
    await revokeNode(fleet.issuance, { uuid: machine.uuid, actor: operator });

    await assert.rejects(enroll(fleet.issuance, bytes), refused);
    assert.equal(lastReason(fleet), 'uuid_revoked');
    await assert.rejects(enroll(fleet.issuance, enrollBytes(machine, await fleet.token())), refused);
    const rekeyed = await createMachine({ uuid: machine.uuid });
    await assert.rejects(enroll(fleet.issuance, enrollBytes(rekeyed, await fleet.token())), refused);
    assert.equal(lastReason(fleet), 'uuid_revoked');
    fleet.clock.now += 10 * 365 * 86_400_000;
    await assert.rejects(enroll(fleet.issuance, enrollBytes(rekeyed, await fleet.token())), refused);
    assert.equal((await getNode(fleet.store, machine.uuid))?.state, 'revoked');
    await enroll(fleet.issuance, enrollBytes(await createMachine(), await fleet.token()));
  });

  test('a quarantined node gets its certificate again, and stays quarantined', async () => {
    const fleet = await createTestFleet();
    const machine = await createMachine();
    const bytes = enrollBytes(machine, await fleet.token());
    await enroll(fleet.issuance, bytes);
    await quarantineNode(fleet.issuance, { uuid: machine.uuid, actor: operator });
    await enroll(fleet.issuance, bytes);
    assert.equal((await getNode(fleet.store, machine.uuid))?.state, 'quarantined');
  });

  test('without its entry there is no enrollment', async () => {
    const fleet = await createTestFleet();
    const machine = await createMachine();
    const bytes = enrollBytes(machine, await fleet.token());
    fleet.audit.failing = true;
    await assert.rejects(enroll(fleet.issuance, bytes), { name: 'AuditError', code: 'unavailable' });
    assert.equal((await nodesOf(fleet)).length, 0);
    fleet.audit.failing = false;
    await enroll(fleet.issuance, bytes);
  });
});

for (const kind of ['memory', 'sqlite'] as const) {
  test(`R06 incidents 1 and 2: 200 parallel enrollments with one token, ${kind}: one node, one success, 199 audited`, async (t) => {
    const store = await openStore(t, kind);
    const fleet = await createTestFleet({ store });
    const token = await fleet.token();
    const machines = await Promise.all(Array.from({ length: 200 }, () => createMachine()));
    const results = await Promise.allSettled(machines.map((m) => enroll(fleet.issuance, enrollBytes(m, token))));

    assert.equal(results.filter((r) => r.status === 'fulfilled').length, 1);
    for (const result of results)
      if (result.status === 'rejected') assert.equal(result.reason.message, enrollRefusalText);
    assert.equal((await nodesOf(fleet)).length, 1);
    assert.equal(fleet.audit.of('node.enroll').length, 1);
    const losers = fleet.audit.of('node.enroll.refuse');
    assert.equal(losers.length, 199);
    const [{ id } = { id: '' }] = (await listEnrollmentTokens(store, { limit: 1 })).tokens;
    for (const entry of losers) assert.equal(entry.detail?.['token'], id);
    assert.equal(new Set(losers.map((entry) => entry.detail?.['fingerprint'])).size, 199);
  });

  test(`R07 a dump of every item holds no token substring, ${kind}`, async (t) => {
    const fleet = await createTestFleet({ store: await openStore(t, kind) });
    const seen: string[] = [];
    const start = await fleet.store.feed.now();
    const token = await fleet.token({ labels: { role: 'web' } });
    await enroll(fleet.issuance, enrollBytes(await createMachine(), token));
    await assert.rejects(enroll(fleet.issuance, enrollBytes(await createMachine(), token)), refused);
    const { changes } = await fleet.store.feed.read(start, { limit: 1000, waitMs: 0 });
    for (const { item } of changes) seen.push(dump(item));
    for (const pk of ['token', 'lane#fake'])
      for (const item of (await fleet.store.query({ pk })).items) seen.push(dump(item));
    seen.push(dump(fleet.audit.events));
    const everything = seen.join('\n');
    assert.ok(changes.length >= 5 && everything.includes('web-1.example.com'), 'the dump is a dump');
    const secret = token.slice(4, 47);
    for (let i = 0; i + 8 <= secret.length; i++) assert.ok(!everything.includes(secret.slice(i, i + 8)));
    assert.ok(!everything.includes(Buffer.from(secret, 'base64url').toString('hex')));
  });
}

function dump(value: unknown): string {
  return JSON.stringify(value, (_, v) =>
    v?.type === 'Buffer'
      ? Buffer.from(v.data).toString('latin1')
      : v instanceof Uint8Array
        ? Buffer.from(v).toString('latin1')
        : v,
  );
}

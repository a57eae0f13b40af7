import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  createMachine,
  createTestFleet,
  enrollBytes,
  operator,
  renewBytes,
  signedBytes,
} from '../../test/fakes/fleet.ts';
import { createCsr, generateP256, parseNodeCertificate } from '../crypto/x509.ts';
import { clampLife, createNodeCertificates } from './certificates.ts';
import { enroll } from './enroll.ts';
import { getNode, quarantineNode, revokeNode } from './nodes.ts';
import { renewRefusalText } from './refusal.ts';
import { renew, renewRequestJson } from './renew.ts';

const refused = { name: 'IdentityError', code: 'refused', message: renewRefusalText };
const dayMs = 86_400_000;

async function enrolled() {
  const fleet = await createTestFleet();
  const machine = await createMachine();
  await enroll(fleet.issuance, enrollBytes(machine, await fleet.token()));
  const reason = () => fleet.audit.of('node.renew.refuse').at(-1)?.detail?.['reason'];
  return { fleet, machine, reason, renewAt: (time: number) => renew(fleet.issuance, renewBytes(machine, time)) };
}

describe('renew', () => {
  test('R53 an expired certificate is no obstacle: the identity key is enough', async () => {
    const { fleet, machine, renewAt } = await enrolled();
    fleet.clock.now += 400 * dayMs;
    const answer = await renewAt(fleet.clock.now);
    const trust = { fleet: 'testfleet', authority: fleet.authority, now: fleet.clock.now };
    const certificate = parseNodeCertificate(answer.certificate, trust);
    assert.equal(certificate.uuid, machine.uuid);
    const [entry] = fleet.audit.of('node.renew');
    assert.equal(entry?.detail?.['serial'], certificate.serial);
    assert.equal(entry?.detail?.['expires'], new Date(certificate.notAfter).toISOString());
    assert.equal((await getNode(fleet.store, machine.uuid))?.certificateExpiresAt, certificate.notAfter);
  });

  test('R05 the same renewal twice, or an older one after it, is refused', async () => {
    const { fleet, renewAt, reason } = await enrolled();
    const now = fleet.clock.now;
    await renewAt(now);
    await assert.rejects(renewAt(now), refused);
    assert.equal(reason(), 'replayed');
    await assert.rejects(renewAt(now - 1), refused);
    await renewAt(now + 1);
    const together = await Promise.allSettled(Array.from({ length: 20 }, () => renewAt(now + 2)));
    assert.equal(together.filter((r) => r.status === 'fulfilled').length, 1);
    assert.equal(fleet.audit.of('node.renew').length, 3);
  });

  test('clocks may differ by five minutes', async () => {
    const { fleet, renewAt, reason } = await enrolled();
    for (const skew of [-300_001, 300_001]) {
      await assert.rejects(renewAt(fleet.clock.now + skew), refused);
      assert.equal(reason(), 'clock');
    }
    await renewAt(fleet.clock.now - 300_000);
    await renewAt(fleet.clock.now + 300_000);
  });

  test('incident 41: node A can not renew node B', async () => {
    const { fleet, machine, reason } = await enrolled();
    const attacker = await createMachine();
    await enroll(fleet.issuance, enrollBytes(attacker, await fleet.token()));
    const forged = renewBytes({ ...attacker, uuid: machine.uuid }, fleet.clock.now);
    await assert.rejects(renew(fleet.issuance, forged), refused);
    assert.equal(reason(), 'bad_signature');
    const enrollment = signedBytes(
      'enroll',
      machine,
      renewRequestJson({ uuid: machine.uuid, time: fleet.clock.now, csr: machine.csr }),
    );
    await assert.rejects(renew(fleet.issuance, enrollment), refused);
    assert.equal(fleet.audit.of('node.renew').length, 0);
  });

  test('incident 39: renewed twice and then revoked, it renews no more; quarantined, it does', async () => {
    const { fleet, machine, renewAt, reason } = await enrolled();
    const order = { uuid: machine.uuid, actor: operator };
    await renewAt(fleet.clock.now);
    await quarantineNode(fleet, order);
    await renewAt(fleet.clock.now + 1);
    assert.equal((await getNode(fleet.store, machine.uuid))?.state, 'quarantined');
    await revokeNode(fleet, order);
    await assert.rejects(renewAt(fleet.clock.now + 2), refused);
    assert.equal(reason(), 'revoked');
  });

  test('incident 40: 400 days of renewals without an outage', async () => {
    const { fleet, renewAt } = await enrolled();
    for (let day = 0; day < 400; day += 20) {
      fleet.clock.now += 20 * dayMs;
      await renewAt(fleet.clock.now);
    }
    assert.equal(fleet.audit.of('node.renew').length, 20);
  });

  test('without its entry there is no certificate', async () => {
    const { fleet, renewAt } = await enrolled();
    fleet.audit.failing = true;
    let issued = 0;
    const certificates = { ...fleet.issuance.certificates, issue: async () => new Uint8Array(++issued) };
    const machine = await createMachine();
    await assert.rejects(renew({ ...fleet.issuance, certificates }, renewBytes(machine, fleet.clock.now)), refused);
    await assert.rejects(renewAt(fleet.clock.now), { code: 'unavailable' });
    assert.equal(issued, 0);
  });
});

describe('node certificates', () => {
  test('live 24 hours unless told, and one hour to seven days whatever is told', async () => {
    const fleet = await createTestFleet();
    const lives = new Map([
      [undefined, dayMs],
      [0, 3_600_000],
      [-1, 3_600_000],
      [1e12, 7 * dayMs],
      [2 * dayMs, 2 * dayMs],
    ]);
    for (const [lifeMs, expected] of lives) {
      const certificates = createNodeCertificates({
        ...fleet,
        fleet: 'testfleet',
        ...(lifeMs === undefined ? {} : { lifeMs }),
      });
      const plan = certificates.plan();
      assert.equal(plan.notAfter - fleet.clock.now, expected);
      const der = await certificates.issue({
        uuid: (await createMachine()).uuid,
        csr: await createCsr(generateP256()),
        plan,
      });
      const parsed = parseNodeCertificate(der, {
        fleet: 'testfleet',
        authority: fleet.authority,
        now: fleet.clock.now,
      });
      assert.deepEqual([parsed.serial, parsed.notAfter], [plan.serial, plan.notAfter]);
    }
    for (const never of [Number.NaN, Number.POSITIVE_INFINITY]) assert.equal(clampLife(never), dayMs);
  });

  test('serials do not repeat, and are positive whatever the random bytes', async () => {
    const fleet = await createTestFleet();
    for (const byte of [0x00, 0xff]) {
      const certificates = createNodeCertificates({
        ...fleet,
        fleet: 'testfleet',
        random: (n) => new Uint8Array(n).fill(byte),
      });
      assert.match(certificates.plan().serial, /^[4-7][0-9a-f]{31}$/);
    }
    const { certificates } = fleet.issuance;
    assert.equal(new Set(Array.from({ length: 100 }, () => certificates.plan().serial)).size, 100);
  });
});

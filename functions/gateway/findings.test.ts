/** R36: what a node found in its own process is one entry each, in the node's name; what is not a finding is refused. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openSession } from '../../agent/session.ts';
import type { Finding } from '../../lib/hardening/finding.ts';
import { createGatewayFleet } from '../../test/fakes/gateway-fleet.ts';
import { parseFindings } from './findings.ts';

describe('findings of nodes', () => {
  it('R36 are one entry each', async () => {
    const fleet = await createGatewayFleet();
    try {
      const node = await fleet.addNode();
      const session = await openSession(fleet.sessionOptions(node));
      const findings: Finding[] = [
        { kind: 'tracer', what: 'gdb' },
        { kind: 'mapping', what: '/tmp/evil.so' },
      ];
      await session.reportFindings(findings);
      session.close();
      const events = fleet.audit.events.filter(({ type }) => type === 'process.finding');
      assert.deepEqual(
        events.map(({ actor, object, detail }) => ({ actor: actor.id, object, detail })),
        findings.map((detail) => ({ actor: node.uuid, object: { kind: 'node', id: node.uuid }, detail })),
      );
    } finally {
      await fleet.close();
    }
  });

  it('of unknown kinds, with control characters, too long, none or too many are refused', () => {
    const good = { kind: 'tracer', what: 'gdb' };
    assert.deepEqual(parseFindings([good]), [good]);
    for (const findings of [
      [],
      Array(17).fill(good),
      [{ kind: 'other', what: 'x' }],
      [{ kind: 'tracer', what: '' }],
      [{ kind: 'tracer', what: 'a\nb' }],
      [{ kind: 'tracer', what: 'x'.repeat(201) }],
      [{ kind: 'tracer', what: 'é' }],
      [{}],
    ]) {
      assert.throws(() => parseFindings(findings), { code: 'INVALID_REPORT' }, JSON.stringify(findings).slice(0, 80));
    }
  });
});

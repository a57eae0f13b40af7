/**
 * R55: what one operation consumes, in capacity units as the service counts them (`ReturnConsumedCapacity`). The emulator
 * counts as the Developer Guide describes; the figures of the loop are printed, and what must be free is checked.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { openSession } from '../../agent/session.ts';
import { assumptions } from '../../bench/cost.ts';
import { createSealer } from '../../lib/audit/sealer.ts';
import { openAuditWriter } from '../../lib/audit/writer.ts';
import { fleetPin } from '../../lib/identity/descriptor.ts';
import { enroll } from '../../lib/identity/enroll.ts';
import { revokeNode } from '../../lib/identity/nodes.ts';
import { renew } from '../../lib/identity/renew.ts';
import { createEnrollmentToken } from '../../lib/identity/tokens.ts';
import { publishRelease } from '../../lib/policy/publish.ts';
import { createMemoryBlobs } from '../../lib/store/blobs-memory.ts';
import { openDynamoStore } from '../../lib/store/dynamodb.ts';
import type { Store } from '../../lib/store/port.ts';
import { ResultKind } from '../../lib/wire/gen/holdfast/agent/v1/gateway_pb.ts';
import { createTestSigner } from '../fakes/audit-log.ts';
import { createMachine, createTestFleet, enrollBytes, operator, renewBytes } from '../fakes/fleet.ts';
import { createGatewayFleet } from '../fakes/gateway-fleet.ts';
import { createOperator, manifestBytes, noon } from '../fakes/policy.ts';
import { createFakePublication } from '../fakes/publication.ts';
import { createTable, dynamoClients, type Table } from './emulator.ts';

type Units = { requests: number; read: number; write: number };

const clients = dynamoClients('ministack');
const used: Units = { requests: 0, read: 0, write: 0 };
let made: Table;
let store: Store;

before(async () => {
  made = await createTable(clients.client);
  count(clients.client);
  store = openDynamoStore({ ...clients, table: made.table, streamArn: made.streamArn, pollMs: 50 });
});
after(async () => {
  await store.close();
  await made.remove();
  clients.client.destroy();
  clients.streams.destroy();
});

function count(client: DynamoDBClient): void {
  client.middlewareStack.add(
    (next, context) => async (args) => {
      const name = String(context['commandName']);
      if (!/Item|Query/.test(name)) return next(args);
      const answer = await next({
        ...args,
        input: { ...args.input, ReturnConsumedCapacity: 'TOTAL' } as typeof args.input,
      });
      const { ConsumedCapacity } = answer.output as { ConsumedCapacity?: Capacity | Capacity[] };
      const units = [ConsumedCapacity ?? []].flat().reduce((sum, each) => sum + (each.CapacityUnits ?? 0), 0);
      used.requests += 1;
      used[/Get|Query/.test(name) ? 'read' : 'write'] += units;
      return answer;
    },
    { step: 'initialize', name: 'countCapacity' },
  );
}

type Capacity = { readonly CapacityUnits?: number };

async function measure(operation: () => Promise<unknown>): Promise<Units> {
  const before = { ...used };
  await operation();
  return {
    requests: used.requests - before.requests,
    read: used.read - before.read,
    write: used.write - before.write,
  };
}

const shown = ({ requests, read, write }: Units) => `${write} write and ${read} read units in ${requests} requests`;

test('R55 a check-in that finds no change consumes nothing', async (t) => {
  const fleet = await createGatewayFleet({ store });
  const node = await fleet.addNode();
  const session = await openSession(fleet.sessionOptions(node));
  // The first one notes that the node was seen, off the path of its answer.
  const first = await measure(async () => {
    const { write } = used;
    await session.checkIn({ agentVersion: '0.1.0' });
    while (used.write === write) await sleep(1);
  });
  t.diagnostic(`last-seen of a node: ${shown(first)}`);
  assert(first.write > 0 && first.write <= assumptions.seenWriteUnits && first.read === 0, shown(first));
  const next = await measure(async () => {
    for (let n = 0; n < 200; n += 1) await session.checkIn({ agentVersion: '0.1.0' });
  });
  t.diagnostic(`200 check-ins: ${shown(next)}`);
  assert.deepEqual(next, { requests: 0, read: 0, write: 0 });
  // A run over 50 resources of which one changed, with its place in the indexes.
  const results = Array.from({ length: 50 }, (_, n) => ({
    resource: `base/file//etc/app/${n}.conf`,
    result: n === 0 ? ResultKind.UPDATED : ResultKind.UNCHANGED,
  }));
  const report = () => ({ runId: randomUUID(), started: timestampFromMs(Date.now()), durationMs: 150, results });
  await session.reportRun(report());
  const reported = await measure(() => session.reportRun(report()));
  t.diagnostic(`a report of a run: ${shown(reported)}`);
  assert(reported.write > 0 && reported.write <= assumptions.reportWriteUnits, shown(reported));
  session.close();
  await fleet.gateway.close();
  await fleet.directory.close();
});

test('R55 what an audit entry, a token, an enrollment, a revocation and a publish consume', async (t) => {
  const fleet = await createTestFleet({ store, startAt: Date.now() });
  const audit = await openAuditWriter({
    store,
    origin: 'holdfast.local/testfleet',
    writerId: 'capacity',
    now: Date.now,
  });
  const deps = { ...fleet.issuance, audit, now: Date.now };
  const machine = await createMachine();
  let token = '';
  const denial = {
    type: 'access.refuse',
    actor: { id: 'unauthenticated', kind: 'unauthenticated', auth: 'none' },
    object: { kind: 'route', id: 'GET /' },
    outcome: 'denied',
    detail: { reason: 'no_credential', route: 'GET /' },
  } as const;
  // The first entry of a lane also registers the lane.
  await audit.append(denial);
  const operator1 = createOperator();
  const publishing = {
    store,
    blobs: createMemoryBlobs(),
    audit,
    now: () => noon,
    trust: { fleet: 'demo', operators: { threshold: 1, keys: [operator1.line] } },
  };
  const manifest = manifestBytes({ bindings: [], crates: [] });
  const release = { manifest, signatures: [operator1.sign(manifest)], actor: operator };

  const origin = 'holdfast.local/testfleet';
  const sealer = createSealer({
    store,
    origin,
    signer: createTestSigner(),
    publication: createFakePublication(),
    now: Date.now,
  });
  const operations: Record<string, () => Promise<unknown>> = {
    'an audit entry': () => audit.append(denial),
    'a token': async () => {
      const minting = { store, audit, now: Date.now, pin: fleetPin(fleet.descriptor) };
      ({ token } = await createEnrollmentToken(minting, { actor: operator }));
    },
    'an enrollment': () => enroll(deps, enrollBytes(machine, token)),
    'a renewal': () => renew(deps, renewBytes(machine, Date.now())),
    'a checkpoint': () => sealer.sealOnce(),
    'a revocation': () => revokeNode(deps, { uuid: machine.uuid, actor: operator }),
    'a publish': () => publishRelease(publishing, release),
  };
  const counted: Record<string, Units> = {};
  for (const [name, operation] of Object.entries(operations)) {
    const units = await measure(operation);
    counted[name] = units;
    t.diagnostic(`${name}: ${shown(units)}`);
    // An entry is about one item of a transaction; more than this would be a change worth a look.
    assert(units.write > 0 && units.write <= 40, `${name}: ${shown(units)}`);
  }
  // The bill in docs/aws.md is reckoned with these.
  const isWithin = (name: string, write: number, read: number) =>
    assert(counted[name]!.write <= write && counted[name]!.read <= read, `${name}: ${shown(counted[name]!)}`);
  isWithin('a renewal', assumptions.renewalWriteUnits, assumptions.renewalReadUnits);
  isWithin('a checkpoint', assumptions.writeUnitsPerCheckpoint, assumptions.readUnitsPerCheckpoint);
  await audit.close();
});

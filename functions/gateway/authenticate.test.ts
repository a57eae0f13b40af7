import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Client, Server } from '@grpc/grpc-js';
import { createMemoryStore } from '../../lib/store/memory.ts';
import { Gateway } from '../../lib/wire/gen/holdfast/agent/v1/gateway_pb.ts';
import { type GatewayMethod, gatewayMethods } from '../../lib/wire/methods.ts';
import { unauthenticated } from '../../lib/wire/status.ts';
import { type CountingStore, countingStore } from '../../test/fakes/counting-store.ts';
import { createGatewayFleet, type GatewayFleet, type TestNode } from '../../test/fakes/gateway-fleet.ts';
import { handlerSpy } from '../../test/fakes/handler-spy.ts';
import { goodBody, type RawStream, rawClient, rawStream, signedEnvelope } from '../../test/fakes/raw-agent.ts';
import { requestAttacks } from '../../test/fakes/request-attacks.ts';
import { addGatewayService } from './service.ts';

describe('the verifier', () => {
  let fleet: GatewayFleet;
  let store: CountingStore;
  const spy = handlerSpy();
  const clients: Client[] = [];

  before(async () => {
    store = countingStore(createMemoryStore());
    fleet = await createGatewayFleet({ store, instrument: spy.instrument });
  });
  after(async () => {
    for (const client of clients) client.close();
    await fleet.close();
  });

  it('R03 stands before every method of the service, and there is no other way in', async () => {
    assert.deepEqual(
      gatewayMethods.map(({ path }) => path),
      Object.values(Gateway.method).map((method) => `/holdfast.agent.v1.Gateway/${method.name}`),
    );
    for (const method of Object.values(Gateway.method)) {
      assert.equal(method.methodKind, 'bidi_streaming');
      assert.equal(method.input.typeName, 'holdfast.agent.v1.Envelope', `${method.name} takes signed envelopes only`);
    }
    const client = connect(await fleet.addNode());
    const unknown = rawStream(client, { name: 'session', path: '/holdfast.agent.v1.Gateway/Unlisted' });
    assert.equal((await unknown.end).code, 12, 'what is not in the descriptor is not implemented');
  });

  it('R03 a service without a handler for each method does not start', () => {
    const server = new Server();
    for (const method of gatewayMethods) {
      const handlers = Object.fromEntries(gatewayMethods.filter((m) => m !== method).map((m) => [m.name, {}]));
      assert.throws(() => addGatewayService(server, {} as never, handlers as never), /has no handler/);
    }
  });

  for (const method of gatewayMethods) {
    describe(method.path, () => {
      it('accepts what is signed, with a rising counter', async () => {
        const node = await fleet.addNode();
        const stream = rawStream(connect(node), method);
        const challenge = await stream.challenge;
        const body = goodBody(method.name);
        for (const counter of [1, 2, 7, 0xffffffff]) {
          stream.send(signedEnvelope(node, { method: method.path, challenge, counter }, body));
          await stream.next();
        }
        stream.cancel();
      });

      for (const attack of requestAttacks) {
        it(`${attack.name} is refused`, async () => {
          const node = await (attack.node?.(fleet) ?? fleet.addNode());
          const stream = rawStream(connect(node), method);
          const challenge = await stream.challenge;
          const bytes = await attack.bytes({ fleet, method, node, challenge, body: goodBody(method.name) });
          await refused(stream, () => stream.send(bytes), attack.reason, node.uuid);
        });
      }

      it('R05 the same bytes on the same stream are refused', async () => {
        const node = await fleet.addNode();
        const { stream, bytes } = await accepted(node, method);
        await refused(stream, () => stream.send(bytes), 'replayed_counter', node.uuid);
      });

      it('R05 an older counter on the same stream is refused', async () => {
        const node = await fleet.addNode();
        const { stream, challenge } = await accepted(node, method, 5);
        const older = signedEnvelope(node, { method: method.path, challenge, counter: 4 }, goodBody(method.name));
        await refused(stream, () => stream.send(older), 'replayed_counter', node.uuid);
      });

      it('R05 the same bytes on another stream of the same connection are refused', async () => {
        const node = await fleet.addNode();
        const { bytes, client } = await accepted(node, method);
        const second = rawStream(client, method);
        await second.challenge;
        await refused(second, () => second.send(bytes), 'bad_signature', node.uuid);
      });

      it('R05 the same bytes on another connection are refused', async () => {
        const node = await fleet.addNode();
        const { bytes } = await accepted(node, method);
        const second = rawStream(connect(node), method);
        await second.challenge;
        await refused(second, () => second.send(bytes), 'bad_signature', node.uuid);
      });

      it('R05 captured bytes that were never delivered are refused on another stream', async () => {
        const node = await fleet.addNode();
        const client = connect(node);
        const first = rawStream(client, method);
        const bytes = signedEnvelope(
          node,
          { method: method.path, challenge: await first.challenge, counter: 1 },
          goodBody(method.name),
        );
        const second = rawStream(client, method);
        await second.challenge;
        await refused(second, () => second.send(bytes), 'bad_signature', node.uuid);
        first.cancel();
      });

      it('R05 the same bytes many times at once on one stream are served once', async () => {
        const node = await fleet.addNode();
        const stream = rawStream(connect(node), method);
        const challenge = await stream.challenge;
        const bytes = signedEnvelope(node, { method: method.path, challenge, counter: 1 }, goodBody(method.name));
        const handled = spy.handled;
        for (let copy = 0; copy < 20; copy++) stream.send(bytes);
        await stream.next();
        await assert.rejects(stream.next(), { code: unauthenticated.code });
        assert.equal(spy.handled - handled, 1);
      });

      it('R05 another gateway on the same store refuses the bytes, before and after a restart', async () => {
        const node = await fleet.addNode();
        const { bytes } = await accepted(node, method);
        for (let restart = 0; restart < 2; restart++) {
          const second = await fleet.secondGateway();
          const client = rawClient(second.gateway.address.port, node);
          clients.push(client);
          const stream = rawStream(client, method);
          await stream.challenge;
          await refused(stream, () => stream.send(bytes), 'bad_signature', node.uuid);
          await second.close();
        }
      });
    });
  }

  it('R05 challenges are never the same', async () => {
    const client = connect(await fleet.addNode());
    const seen = new Set<string>();
    for (let round = 0; round < 20; round++) {
      const stream = rawStream(client, gatewayMethods[round % gatewayMethods.length]!);
      seen.add(Buffer.from(await stream.challenge).toString('hex'));
      stream.cancel();
    }
    assert.equal(seen.size, 20);
  });

  function connect(node: TestNode): Client {
    const client = rawClient(fleet.gateway.address.port, node);
    clients.push(client);
    return client;
  }

  async function accepted(node: TestNode, method: GatewayMethod, counter = 1) {
    const client = connect(node);
    const stream = rawStream(client, method);
    const challenge = await stream.challenge;
    const bytes = signedEnvelope(node, { method: method.path, challenge, counter }, goodBody(method.name));
    stream.send(bytes);
    await stream.next();
    return { client, stream, challenge, bytes };
  }

  /** One uniform answer, the true reason in the audit log, nothing decoded, nothing handled, no store asked. */
  async function refused(stream: RawStream, send: () => void, reason: string, uuid: string): Promise<void> {
    const { decoded, handled } = spy;
    const counts = { ...store.counts };
    const denials = fleet.audit.events.length;
    send();
    const answered = stream.next().then(
      () => assert.fail('the request was answered'),
      () => stream.end,
    );
    const end = await Promise.race([stream.end, answered]);
    const trailer = unauthenticated.metadata.get('grpc-status-details-bin')[0]!.toString('hex' as never);
    assert.deepEqual(end, { code: 16, details: 'unauthenticated', trailer });
    assert.deepEqual(
      { decoded: spy.decoded, handled: spy.handled },
      { decoded, handled },
      'nothing was decoded or handled',
    );
    assert.deepEqual(store.counts, counts, 'the store was not asked');
    const [denial, ...more] = fleet.audit.events.slice(denials);
    assert.equal(more.length, 0);
    assert.equal(denial?.type, 'node.request.refuse');
    assert.equal(denial?.outcome, 'denied');
    assert.equal(denial?.actor.kind, 'unauthenticated');
    assert.equal(denial?.detail?.['reason'], reason);
    assert.equal(denial?.detail?.['claimed'], uuid);
  }
});

/** A deployment whose fleet was founded, and what operators and nodes do with it. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { ScanCommand } from '@aws-sdk/client-dynamodb';
import { openSession, type Session } from '../../agent/session.ts';
import type { RightsScope } from '../../cdk/constructs/function-rights.ts';
import { privateKeyToPem } from '../../lib/crypto/ed25519.ts';
import { fromBase64url } from '../../lib/crypto/encoding.ts';
import { parseEnrollAnswer } from '../../lib/identity/answer.ts';
import { parseDescriptor } from '../../lib/identity/descriptor.ts';
import { type AttributeMap, decodeItem } from '../../lib/store/dynamodb-encoding.ts';
import type { Item } from '../../lib/store/port.ts';
import { createMachine, enrollBytes, type Machine } from '../fakes/fleet.ts';
import { createOperator } from '../fakes/policy.ts';
import { deploy, type GatewayProcess, type HttpAnswer, httpEvent } from './deployment.ts';
import { region } from './emulator.ts';
import { recorded } from './entries.ts';

export type Enrolled = { readonly machine: Machine; readonly certDer: Uint8Array };

export async function deployFleet() {
  const deployment = await deploy();
  const [admin, sealer] = await Promise.all([deployment.startLambda('admin'), deployment.startLambda('sealer')]);
  const operator = createOperator();
  const founding = { holdfast: 'found-fleet', name: 'prod', operatorKeys: [operator.line], threshold: 1 };
  // Of many at once, one founding counts; and before it there is nothing to seal.
  assert.deepEqual(await sealer.invoke({ Records: [] }), {});
  const founded = await Promise.all(
    Array.from({ length: 5 }, () => deployment.identity.invoke<{ descriptor: string; pin: string }>(founding)),
  );
  assert.equal(new Set(founded.map(({ pin }) => pin)).size, 1);
  const fleet = parseDescriptor(fromBase64url(founded[0]!.descriptor));

  async function direct<T>(method: string, path: string, body?: object): Promise<T> {
    const answer = await admin.invoke<{ status: number; body: string }>({
      holdfast: 'admin',
      method,
      path,
      ...(body === undefined ? {} : { body }),
    });
    assert.equal(answer.status, 200, answer.body);
    return JSON.parse(answer.body) as T;
  }

  const mint = async () => (await direct<{ token: string }>('POST', '/v1/tokens', { labels: { role: 'web' } })).token;

  function post(path: string, body: Uint8Array): Promise<HttpAnswer> {
    return deployment.identity.invoke<HttpAnswer>(httpEvent('POST', path, body));
  }

  async function enroll(): Promise<Enrolled> {
    const machine = await createMachine();
    const answer = await post('/v1/enroll', enrollBytes(machine, await mint()));
    assert.equal(answer.statusCode, 200, answer.body);
    return { machine, certDer: parseEnrollAnswer(Buffer.from(answer.body)).certificate };
  }

  function connect({ machine, certDer }: Enrolled, gateway: GatewayProcess): Promise<Session> {
    return openSession({
      gateway: `127.0.0.1:${gateway.port}`,
      fleet: 'prod',
      identity: { uuid: machine.uuid, privateKey: machine.identity.privateKey },
      tls: { keyPem: privateKeyToPem(machine.tls.privateKey), certDer, authorityDer: fromBase64url(fleet.ca) },
    });
  }

  /** A gateway hears of a new node within a second; until then it refuses it. */
  async function connectOnceKnown(node: Enrolled, gateway: GatewayProcess): Promise<Session> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        const session = await connect(node, gateway);
        await session.checkIn({ agentVersion: '0.1.0' });
        return session;
      } catch (error) {
        if (attempt >= 30) throw error;
        await sleep(200);
      }
    }
  }

  /** Every item of the table. */
  async function scan(): Promise<Item[]> {
    const { client } = deployment.clients;
    const items: Item[] = [];
    let from: AttributeMap | undefined;
    do {
      const page = await client.send(
        new ScanCommand({ TableName: deployment.table, ...(from === undefined ? {} : { ExclusiveStartKey: from }) }),
      );
      items.push(...(page.Items ?? []).map(decodeItem));
      from = page.LastEvaluatedKey;
    } while (from !== undefined);
    return items;
  }

  const entriesOf = async (type: string, outcome: string) => recorded(await scan(), type, outcome);

  /** The resources as the roles of the deployment name them. */
  function rightsScope(): RightsScope {
    const { table, streamArn, keys, buckets } = deployment;
    const bucket = (bucketName: string) => ({
      bucketArn: bucketName,
      arnForObjects: (pattern: string) => `${bucketName}/${pattern}`,
    });
    return {
      table: { tableArn: table },
      streamArn,
      blobs: bucket(buckets.blobs),
      tiles: bucket(buckets.log),
      artifacts: bucket('artifacts'),
      anchors: bucket(buckets.anchors),
      authorityKey: { keyArn: keys['fleet-ca'] },
      logKey: { keyArn: keys['audit-log'] },
      dataKey: { keyArn: keys.data },
      secretsArn: `${deployment.secretsPrefix}*`,
      siemSecretsArn: `${deployment.secretsPrefix}siem/*`,
      ringsArn: deployment.ringsUrl,
      routerArn: 'router',
      region,
    } as unknown as RightsScope;
  }

  return {
    ...deployment,
    admin,
    sealer,
    operator,
    founding,
    fleet,
    direct,
    mint,
    post,
    enroll,
    connect,
    connectOnceKnown,
    scan,
    entriesOf,
    rightsScope,
  };
}

/**
 * Secrets on Secrets Manager: the contract of the provider, over the real SDK, on moto, which keeps to ClientRequestToken as
 * AWS documents it (ministack 1.5.33 writes over a version that is there).
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import {
  DescribeSecretCommand,
  GetSecretValueCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { Secret } from '../../lib/crypto/secret.ts';
import { openSecretsManager } from '../../lib/secrets/secrets-manager.ts';
import { createVersionFloors } from '../../lib/secrets/version-floors.ts';
import { createMemoryStore } from '../../lib/store/memory.ts';
import { failsWith, secretsConformance } from '../conformance/secrets.ts';
import { endpointOf, region } from './emulator.ts';

const client = new SecretsManagerClient({ region, endpoint: endpointOf('moto') });
const kms = new KMSClient({ region, endpoint: endpointOf('moto') });
const keyId = (await kms.send(new CreateKeyCommand({}))).KeyMetadata!.Arn!;

function open(prefix = `holdfast/${randomUUID()}/`) {
  const floors = createVersionFloors(createMemoryStore());
  return { prefix, provider: openSecretsManager({ client, prefix, keyId, floors, now: Date.now }) };
}

secretsConformance('Secrets Manager', async () => open().provider);

test('a secret stands below its prefix, under the customer key, and of two fleets none sees the other', async () => {
  const [one, other] = [open(), open()];
  await one.provider.set('db/password', new Secret(new Uint8Array(Buffer.from('the value'))));
  const { KmsKeyId } = await client.send(new DescribeSecretCommand({ SecretId: `${one.prefix}db/password` }));
  assert.equal(KmsKeyId, keyId);
  assert.deepEqual(await other.provider.list(), []);
  await assert.rejects(other.provider.get('db/password'), failsWith('not_found'));
  await assert.rejects(one.provider.rotateMasterKey(), failsWith('not_supported'));
});

test('more secrets than a page holds are all listed', async () => {
  const { provider } = open();
  const paths = Array.from({ length: 120 }, (_, i) => `many/${String(i).padStart(3, '0')}`);
  for (const path of paths) await provider.set(path, new Secret(new Uint8Array(Buffer.from('value'))));
  assert.deepEqual(
    (await provider.list()).map(({ path }) => path),
    paths,
  );
  assert.equal((await provider.existing([...paths, 'absent'])).size, paths.length);
});

test('what somebody else wrote there is not taken for a value, and the next "set" stands above it', async () => {
  const { provider, prefix } = open();
  const value = (text: string) => new Secret(new Uint8Array(Buffer.from(text)));
  await provider.set('a', value('ours, one'));
  await client.send(new PutSecretValueCommand({ SecretId: `${prefix}a`, SecretString: 'from the console' }));
  await assert.rejects(provider.get('a'), failsWith('not_authentic'));
  assert.equal((await provider.set('a', value('ours, two'))).version, 2);
  assert.equal((await provider.get('a')).version, 2);
  const { SecretBinary } = await client.send(new GetSecretValueCommand({ SecretId: `${prefix}a` }));
  assert.equal(Buffer.from(SecretBinary ?? []).toString(), 'ours, two');
});

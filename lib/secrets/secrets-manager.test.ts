/** What Secrets Manager may do to us: races, lost answers, throttling, errors that quote values, deletions cut short. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { failsWith } from '../../test/conformance/secrets.ts';
import { Secret } from '../crypto/secret.ts';
import { createMemoryStore } from '../store/memory.ts';
import { openSecretsManager } from './secrets-manager.ts';
import { createVersionFloors } from './version-floors.ts';

type Call = { readonly name: string; readonly input: Record<string, unknown> };
type Answer = Record<string, unknown> | Error;

/** Answers each call from the script of its command, and then the last one for ever. */
function scripted(answers: { readonly [command: string]: readonly Answer[] }) {
  const calls: Call[] = [];
  const floors = createVersionFloors(createMemoryStore());
  const client = {
    async send(command: { input: Record<string, unknown> }) {
      const name = command.constructor.name.replace(/Command$/, '');
      // As it was at the call: afterwards it is zeroed.
      calls.push({ name, input: structuredClone(command.input) });
      const script = answers[name] ?? [];
      const taken = calls.filter((call) => call.name === name).length;
      const answer = script[Math.min(taken, script.length) - 1] ?? failure('NotScripted');
      if (answer instanceof Error) throw answer;
      return answer;
    },
  } as unknown as SecretsManagerClient;
  const provider = openSecretsManager({ client, prefix: 'holdfast/prod/', keyId: 'key', floors, now: () => 7 });
  return { provider, calls, floors, named: (name: string) => calls.filter((call) => call.name === name) };
}

function failure(name: string, message = 'no'): Error {
  return Object.assign(new Error(message), { name, $metadata: { requestId: 'r-1', httpStatusCode: 400 } });
}

const version = (number: number) => `holdfast-version-${String(number).padStart(16, '0')}`;
const holding = (number: number, more = {}) => ({ VersionIdsToStages: { [version(number)]: ['AWSCURRENT'] }, ...more });
const secret = (text: string) => new Secret(new Uint8Array(Buffer.from(text)));

test('a writer that another one overtook takes the next number, and gives up with a reason', async () => {
  const world = scripted({
    DescribeSecret: [holding(4), holding(5)],
    PutSecretValue: [failure('ResourceExistsException'), {}],
  });
  assert.deepEqual(await world.provider.set('a', secret('value')), { version: 6, createdAt: 7 });
  assert.deepEqual(
    world.named('PutSecretValue').map(({ input }) => input['ClientRequestToken']),
    [version(5), version(6)],
  );
  const never = scripted({ DescribeSecret: [holding(4)], PutSecretValue: [failure('ResourceExistsException')] });
  await assert.rejects(never.provider.set('a', secret('value')), failsWith('unavailable'));
});

test('the value that was sent is zeroed, the caller’s own is not', async () => {
  const kept: Uint8Array[] = [];
  const client = {
    async send({ input }: { input: { SecretBinary?: Uint8Array } }) {
      if (input.SecretBinary) kept.push(input.SecretBinary);
      return holding(1);
    },
  } as unknown as SecretsManagerClient;
  const floors = createVersionFloors(createMemoryStore());
  const value = secret('value');
  const provider = openSecretsManager({ client, prefix: 'p/', keyId: 'key', floors, now: () => 7 });
  await provider.set('a', value);
  assert.deepEqual(
    kept.map((bytes) => [...bytes]),
    [[0, 0, 0, 0, 0]],
  );
  assert.equal(Buffer.from(value.reveal()).toString(), 'value');
});

test('R10 an error of the service that quotes the value stays inside, with all that carries it', async () => {
  const quoting = failure('ValidationException', "Value 'CANARY-5150' at 'secretBinary' failed to satisfy constraint");
  for (const error of [quoting, failure('CANARY-5150 as a name'), new Error('CANARY-5150')]) {
    const world = scripted({ DescribeSecret: [holding(1)], PutSecretValue: [error] });
    await assert.rejects(world.provider.set('a', secret('CANARY-5150')), (caught) => {
      assert.ok(failsWith('unavailable')(caught));
      assert.doesNotMatch(inspect(caught, { depth: 9, showHidden: true }), /CANARY/);
      return true;
    });
  }
});

test('throttling, a denied right, a disabled key and no connection are "unavailable", with what to do', async () => {
  const refusals: readonly (readonly [Error, RegExp])[] = [
    [failure('ThrottlingException'), /too often/],
    [failure('AccessDeniedException'), /role/],
    [failure('DecryptionFailure'), /customer key/],
    [failure('InternalServiceError'), /^undefined$/],
    [failure('TimeoutError'), /^undefined$/],
  ];
  for (const [error, hint] of refusals) {
    const world = scripted({ GetSecretValue: [error], DescribeSecret: [error], ListSecrets: [error] });
    for (const act of [
      () => world.provider.get('a'),
      () => world.provider.existing(['a']),
      () => world.provider.list(),
      () => world.provider.delete('a'),
      () => world.provider.set('a', secret('value')),
    ]) {
      await assert.rejects(act(), (caught) => {
        assert.ok(failsWith('unavailable')(caught));
        assert.match(String((caught as { hint?: string }).hint), hint);
        return true;
      });
    }
  }
});

test('what is being deleted is not there; the next "set" finishes the deletion, and starts above it', async () => {
  const leaving = holding(9, { DeletedDate: new Date(0) });
  const world = scripted({
    GetSecretValue: [failure('InvalidRequestException')],
    DescribeSecret: [leaving, leaving, failure('ResourceNotFoundException')],
    DeleteSecret: [{}],
    CreateSecret: [{}],
    PutSecretValue: [{}],
  });
  await assert.rejects(world.provider.get('a'), failsWith('not_found'));
  assert.deepEqual([...(await world.provider.existing(['a']))], []);
  assert.equal((await world.provider.set('a', secret('value'))).version, 10);
  assert.deepEqual(
    world.named('DeleteSecret').map(({ input }) => input['ForceDeleteWithoutRecovery']),
    [true],
  );
});

test('a version that comes while a secret is deleted still counts: its number is not given again', async () => {
  const world = scripted({
    DescribeSecret: [holding(3), holding(4, { DeletedDate: new Date(0) })],
    DeleteSecret: [{}],
  });
  await world.provider.delete('a');
  assert.deepEqual(
    world.named('DeleteSecret').map(({ input }) => Object.keys(input).at(-1)),
    ['RecoveryWindowInDays', 'ForceDeleteWithoutRecovery'],
  );
  assert.equal(await world.floors.read('a'), 4);
});

test('a deletion that is cut short at any call has its floor before anything is gone', async () => {
  for (const cut of [1, 2]) {
    const answers = [{}, {}].map((answer, i) => (i + 1 === cut ? failure('TimeoutError') : answer));
    const world = scripted({ DescribeSecret: [holding(3)], DeleteSecret: answers });
    await assert.rejects(world.provider.delete('a'), failsWith('unavailable'));
    assert.equal(await world.floors.read('a'), 3);
  }
});

test('a value with a foreign version, or none, is not authentic', async () => {
  for (const VersionId of ['8c1f0a52-8f0e-4c57-9d3c-2f5f1f0c9a11', version(0), 'holdfast-version-1', undefined]) {
    const world = scripted({ GetSecretValue: [{ VersionId, SecretBinary: new Uint8Array(8) }] });
    await assert.rejects(world.provider.get('a'), failsWith('not_authentic'), String(VersionId));
  }
  const text = scripted({ GetSecretValue: [{ VersionId: version(1), SecretString: 'text' }] });
  await assert.rejects(text.provider.get('a'), failsWith('not_authentic'));
});

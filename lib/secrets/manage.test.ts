/** What operators do with secrets: intended before, settled after, with the epoch; and never a value in an entry. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeAudit } from '../../test/fakes/audit.ts';
import { operator } from '../../test/fakes/fleet.ts';
import { createMemorySecrets } from '../../test/fakes/secrets.ts';
import { AuditError } from '../audit/port.ts';
import { Secret } from '../crypto/secret.ts';
import { createMemoryStore } from '../store/memory.ts';
import { secretsEpochKey } from './epoch.ts';
import { SecretsError, type SecretsErrorCode } from './errors.ts';
import { deleteSecret, rotateMasterKey, rotateSecret, setSecret } from './manage.ts';

const secret = (text: string) => new Secret(new Uint8Array(Buffer.from(text)));
const code = (wanted: SecretsErrorCode) => (error: unknown) => error instanceof SecretsError && error.code === wanted;

function setUp() {
  const store = createMemoryStore();
  const audit = createFakeAudit(store);
  const provider = createMemorySecrets();
  const epoch = async () => (await store.get(secretsEpochKey))?.['epoch'] ?? 0;
  return { deps: { provider, audit }, audit, provider, epoch };
}

test('each change is recorded and raises the epoch; a new master key changes nothing that nodes have', async () => {
  const { deps, audit, epoch } = setUp();
  assert.equal((await setSecret(deps, { path: 'a', value: secret('CANARY 1'), actor: operator })).version, 1);
  assert.equal((await rotateSecret(deps, { path: 'a', value: secret('CANARY 2'), actor: operator })).version, 2);
  assert.equal(await epoch(), 2);
  await rotateMasterKey(deps, { actor: operator });
  assert.equal(await epoch(), 2);
  await deleteSecret(deps, { path: 'a', actor: operator });
  assert.equal(await epoch(), 3);
  for (const type of ['secret.set', 'secret.rotate', 'secret.rotate-master', 'secret.delete'] as const) {
    assert.ok(audit.of(type).length >= 1, type);
  }
  assert.equal(JSON.stringify(audit.events).includes('CANARY'), false);
});

test('without its entry nothing is done', async () => {
  const { deps, audit, provider, epoch } = setUp();
  audit.failing = true;
  await assert.rejects(setSecret(deps, { path: 'a', value: secret('a value'), actor: operator }), AuditError);
  audit.failing = false;
  assert.deepEqual(await provider.list(), []);
  assert.equal(await epoch(), 0);
});

test('what fails is recorded as failed, and nodes look again, since nobody can say how far it came', async () => {
  const { deps, audit, provider, epoch } = setUp();
  await setSecret(deps, { path: 'a', value: secret('a value'), actor: operator });
  provider.set = async () => {
    throw new SecretsError('unavailable', 'gone');
  };
  await assert.rejects(setSecret(deps, { path: 'a', value: secret('b value'), actor: operator }), code('unavailable'));
  assert.ok(audit.of('secret.set').some(({ outcome }) => outcome === 'failure'));
  assert.equal(await epoch(), 2);
});

test('slips leave no entry: a path or value outside the rules, and a secret that is not there', async () => {
  const { deps, audit } = setUp();
  await assert.rejects(
    setSecret(deps, { path: '../a', value: secret('a value'), actor: operator }),
    code('bad_reference'),
  );
  await assert.rejects(setSecret(deps, { path: 'a', value: secret('abc'), actor: operator }), code('bad_value'));
  await assert.rejects(rotateSecret(deps, { path: 'a', value: secret('a value'), actor: operator }), code('not_found'));
  await assert.rejects(deleteSecret(deps, { path: 'a', actor: operator }), code('not_found'));
  assert.deepEqual(audit.events, []);
});

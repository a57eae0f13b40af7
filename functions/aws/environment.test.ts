import assert from 'node:assert/strict';
import { test } from 'node:test';
import { functionNames, readEnvironment, requiredVariables } from './environment.ts';

const good = {
  AWS_REGION: 'eu-central-1',
  HOLDFAST_TABLE: 'holdfast',
  HOLDFAST_LOG_BUCKET: 'holdfast-log',
  HOLDFAST_ANCHORS_BUCKET: 'holdfast-anchors',
  HOLDFAST_LOG_KEY_ARN: 'arn:aws:kms:eu-central-1:111122223333:key/1',
  HOLDFAST_ROUTER_FUNCTION_ARN: 'arn:aws:lambda:eu-central-1:111122223333:function:router',
};

test('each function gets exactly what it names, frozen', () => {
  const read = readEnvironment('sealer', { ...good, PATH: '/bin', LANG: 'C' });
  assert.deepEqual({ ...read }, good);
  assert(Object.isFrozen(read));
});

test('R01 an unknown, missing or malformed variable is refused by name, and its value is not repeated', () => {
  const bad: readonly (readonly [string, string | undefined])[] = [
    ['HOLDFAST_INSECURE', 'hidden'],
    ['HOLDFAST_CA_KEY_ARN', 'arn:aws:kms:eu-central-1:111122223333:key/hidden'],
    ['HOLDFAST_TABLE', undefined],
    ['HOLDFAST_TABLE', 'hidden table'],
    ['HOLDFAST_LOG_KEY_ARN', 'hidden'],
    ['AWS_REGION', 'hidden'],
  ];
  for (const [name, value] of bad) {
    assert.throws(
      () => readEnvironment('sealer', { ...good, [name]: value }),
      (error) => {
        assert(error instanceof TypeError);
        assert(error.message.includes(name), error.message);
        assert(!error.message.includes('hidden'), error.message);
        return true;
      },
    );
  }
});

test('only the identity function is given the CA key, and only the sealer and it see the log key', () => {
  const holders = (name: string) => functionNames.filter((each) => requiredVariables(each).includes(name));
  assert.deepEqual(holders('HOLDFAST_CA_KEY_ARN'), ['identity']);
  // The identity function reads the public half, which the fleet descriptor names.
  assert.deepEqual(holders('HOLDFAST_LOG_KEY_ARN'), ['identity', 'sealer']);
  assert.deepEqual(holders('HOLDFAST_DATA_KEY_ARN'), ['admin', 'secrets', 'deliver']);
});

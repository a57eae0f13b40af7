import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { contextKeys, DeploymentConfigError, parseContext } from './config.ts';
import { featureFlags } from './testing.ts';

const digest = 'a'.repeat(64);
const certificate = 'arn:aws:acm:eu-central-1:111122223333:certificate/0123-ab';
const vpc = {
  vpcId: 'vpc-0123abcd',
  vpcCidr: '10.0.0.0/16',
  vpcPublicSubnets: 'subnet-00000001,subnet-00000002,subnet-00000003',
};
const isolated = 'subnet-00000004, subnet-00000005, subnet-00000006';

test('without any context there is a whole deployment, and CDK’s own keys are none of ours', () => {
  const expected = {
    fleet: 'holdfast',
    profile: 'small',
    region: 'us-east-1',
    anchorRetentionDays: 365,
    logRetentionDays: 365,
    zones: ['us-east-1a', 'us-east-1b'],
    image: { kind: 'parameter' },
  };
  assert.deepEqual(parseContext({ profile: 'standard' }).zones, ['us-east-1a', 'us-east-1b', 'us-east-1c']);
  assert.deepEqual(parseContext({}), expected);
  assert.deepEqual(parseContext({ ...featureFlags(), 'aws:cdk:version-reporting': false }), expected);
});

test('every key is parsed from text', () => {
  const config = parseContext({
    fleet: 'acme-eu',
    profile: 'standard',
    region: 'eu-central-1',
    account: '111122223333',
    zones: 'eu-central-1a,eu-central-1b,eu-central-1c',
    domain: 'fleet.example.org',
    certificate,
    gatewayDomain: 'gateway.example.org',
    ...vpc,
    vpcIsolatedSubnets: isolated,
    alarmEmail: 'ops@example.org',
    logRetentionDays: '90',
    anchorRetentionDays: '730',
    anchorBucket: 'anchors-elsewhere',
    release: 'dist/release',
    releaseKeys: 'artifact-keys',
    image: `example.org/holdfast@sha256:${digest}`,
  });
  assert.deepEqual(config.release, { directory: 'dist/release', keysFile: 'artifact-keys' });
  assert.deepEqual(config.api, { domain: 'fleet.example.org', certificateArn: certificate });
  assert.equal(config.logRetentionDays, 90);
  assert.equal(config.anchorRetentionDays, 730);
  assert.equal(config.vpc?.isolatedSubnetIds.length, 3);
  assert.deepEqual(config.image, { kind: 'pinned', reference: `example.org/holdfast@sha256:${digest}` });
});

test('R01 an unknown key is refused by name: there is none to turn mTLS, signatures, authentication or the audit log off', () => {
  for (const key of [
    'mtls',
    'disableAuth',
    'auth',
    'signing',
    'audit',
    'requireSignatures',
    'codeSigning',
    'insecure',
    'Fleet',
    'publicPort',
    'terminationProtection',
  ]) {
    assert.throws(
      () => parseContext({ [key]: 'false' }),
      (error: Error) => error instanceof DeploymentConfigError && error.message.includes(key),
    );
  }
});

test('R01 the keys are these, and each changes what, where or how long; a new one is looked at here', () => {
  assert.deepEqual([...contextKeys].sort(), [
    'account',
    'alarmEmail',
    'anchorBucket',
    'anchorRetentionDays',
    'certificate',
    'domain',
    'fleet',
    'gatewayDomain',
    'image',
    'logRetentionDays',
    'profile',
    'region',
    'release',
    'releaseKeys',
    'vpcCidr',
    'vpcId',
    'vpcIsolatedSubnets',
    'vpcPublicSubnets',
    'zones',
  ]);
});

test('each bad value is refused, with its key and a hint', () => {
  const bad: readonly { readonly [key: string]: unknown }[] = [
    { fleet: 'Upper' },
    { fleet: '-x' },
    { profile: 'tiny' },
    { region: 'nowhere' },
    { account: '123' },
    { zones: 'eu-central-1a' },
    { domain: 'fleet.example.org' },
    { domain: 'no name', certificate },
    { certificate: 'arn:aws:acm:x' },
    { gatewayDomain: 'a' },
    { vpcId: 'vpc-0123abcd' },
    { vpcCidr: '10.0.0.0/8', vpcId: vpc.vpcId },
    { vpcPublicSubnets: vpc.vpcPublicSubnets },
    { vpcIsolatedSubnets: isolated },
    { ...vpc, profile: 'standard' },
    { ...vpc, vpcPublicSubnets: 'subnet-00000001' },
    { ...vpc, vpcPublicSubnets: 'here,there,elsewhere' },
    { alarmEmail: 'nobody' },
    { logRetentionDays: '7' },
    { logRetentionDays: '91' },
    { anchorRetentionDays: '1' },
    { anchorRetentionDays: 'for ever' },
    { anchorBucket: 'Not A Bucket' },
    { image: 'example.org/holdfast:latest' },
    { image: `example.org/holdfast@sha256:${'a'.repeat(63)}` },
    { image: 'Build' },
    { release: 'dist/release' },
    { releaseKeys: 'artifact-keys' },
    { release: '', releaseKeys: 'artifact-keys' },
  ];
  for (const context of bad) {
    assert.throws(
      () => parseContext(context),
      (error: Error) => {
        assert(error instanceof DeploymentConfigError, String(error));
        // One that is missing is named by the key that needs it.
        assert(
          Object.keys(context).some((key) => error.message.includes(key)),
          error.message,
        );
        assert.match(error.message, /hint: docs\/aws\.md/);
        return true;
      },
      JSON.stringify(context),
    );
  }
});

test('every key is in the documentation', () => {
  const page = readFileSync(join(import.meta.dirname, '../docs/aws.md'), 'utf8');
  for (const key of contextKeys) assert(page.includes(`| \`${key}\` |`), key);
});

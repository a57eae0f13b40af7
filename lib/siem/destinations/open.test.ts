import assert from 'node:assert/strict';
import { test } from 'node:test';
import { destinationConfig, destinationKinds } from '../config.ts';
import { openDestination } from './open.ts';

const url = 'https://receiver.example';
const key = 'secret:siem/key';
const id = '11111111-2222-4333-8444-555555555555';
const fields: Readonly<Record<string, object>> = {
  'splunk-hec': { url, token: key },
  elastic: { url, index: 'a', apiKey: key },
  syslog: { host: 'receiver.example' },
  webhook: { url, secret: key },
  sentinel: { url, ruleId: `dcr-${'a'.repeat(32)}`, stream: 'Custom-A', tenant: id, client: id, clientSecret: key },
  datadog: { apiKey: key },
  otlp: { url },
  s3: { region: 'eu-central-1', bucket: 'audit' },
  eventbridge: { region: 'eu-central-1', bus: 'audit' },
};

test('every kind of configuration becomes a destination, which connects to nothing yet', async () => {
  assert.deepEqual(Object.keys(fields).sort(), [...destinationKinds].sort());
  for (const [kind, own] of Object.entries(fields)) {
    const destination = openDestination(destinationConfig.parse({ kind, name: 'a', ...own }));
    assert.ok(destination.limits.maxEvents > 0 && destination.limits.maxBytes >= 8192, kind);
    assert.equal(destination.confirm !== undefined, kind === 'splunk-hec');
    await destination.close();
  }
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { forbiddenUrls } from '../../test/fakes/forbidden-hosts.ts';
import {
  type ConfigOf,
  credentialsOf,
  type DestinationKind,
  destinationConfig,
  destinationKinds,
  type NetworkConfig,
} from './config.ts';

const network: NetworkConfig = { allow: [], pins: [] };
const valid: { readonly [K in DestinationKind]: Partial<ConfigOf<K>> } = {
  'splunk-hec': { url: 'https://splunk.example:8088', token: 'secret:siem/hec' },
  elastic: { url: 'https://elastic.example', index: 'logs-holdfast', apiKey: 'secret:siem/elastic' },
  syslog: { host: 'syslog.example' },
  webhook: { url: 'https://hook.example/x', secret: 'secret:siem/hook' },
  sentinel: {
    url: 'https://dce.ingest.monitor.azure.com',
    ruleId: `dcr-${'0'.repeat(32)}`,
    stream: 'Custom-Holdfast_CL',
    tenant: '00000000-0000-4000-8000-000000000000',
    client: '00000000-0000-4000-8000-000000000001',
    clientSecret: 'secret:siem/sentinel',
  },
  datadog: { apiKey: 'secret:siem/datadog' },
  otlp: { url: 'https://collector.example:4318/v1/logs' },
  s3: { region: 'eu-central-1', bucket: 'audit-archive' },
  eventbridge: { region: 'eu-central-1', bus: 'audit' },
};

const make = (kind: keyof typeof valid, more: object = {}) => ({ kind, name: 'a', ...valid[kind], ...more });
const parse = (value: unknown) => destinationConfig.safeParse(value);

test('every kind has a smallest configuration, and its network is the strict one', () => {
  assert.deepEqual([...destinationKinds].sort(), Object.keys(valid).sort());
  for (const kind of destinationKinds) {
    const parsed = parse(make(kind));
    assert.ok(parsed.success, `${kind}: ${parsed.error?.message}`);
    assert.deepEqual(parsed.data.network, network);
    assert.equal(parsed.data.redaction, 'full');
    // What was parsed is what is kept, and parses to itself.
    assert.deepEqual(parse(parsed.data).data, parsed.data);
  }
});

test('incident 33: no kind but those allowed, no file, no command, no unknown field', () => {
  for (const kind of ['file', 'exec', 'socket', 'http', '', undefined])
    assert.ok(!parse({ ...make('s3'), kind }).success);
  const smuggled = [
    { path: '/etc/passwd' },
    { file: '/var/log/audit' },
    { command: 'id' },
    { exec: ['id'] },
    { insecure: true },
    { verify: false },
    { rejectUnauthorized: false },
    { network: { ...network, insecureSkipVerify: true } },
    { network: { ...network, ca: '/etc/ssl/ca.pem' } },
    { network: { ...network, ca: '' } },
    { prefix: '/absolute/' },
    { prefix: '../' },
  ];
  for (const kind of destinationKinds)
    for (const more of smuggled) assert.ok(!parse(make(kind, more)).success, `${kind} ${JSON.stringify(more)}`);
});

test('a credential is a reference under siem/, never a value and never another secret of the fleet', () => {
  assert.deepEqual(credentialsOf(destinationConfig.parse(make('webhook'))), [{ field: 'secret', path: 'siem/hook' }]);
  const refused = [
    'whsec_abc',
    'secret:db/password',
    'secret:siem/../db',
    'secret:siem/',
    'secret:SIEM/x',
    '',
    'siem/x',
  ];
  for (const secret of refused) assert.ok(!parse(make('webhook', { secret })).success, secret);
});

test('R32 a URL is https, without user information or fragment, on one line, whatever the kind', () => {
  let kinds = 0;
  for (const kind of destinationKinds) {
    if (!parse(make(kind, { url: 'https://receiver.example/' })).success) continue;
    kinds += 1;
    for (const url of [...forbiddenUrls, 'receiver.example', '/etc/passwd', ''])
      assert.ok(!parse(make(kind, { url })).success, `${kind}: ${url}`);
  }
  assert.equal(kinds, destinationKinds.length - 1, 'syslog alone has no URL');
  for (const host of [
    'user@receiver.example',
    'receiver.example:514',
    '[::1]',
    'a b',
    'a\r\nb',
    'a/b',
    'a.',
    '%31',
    '①',
    '',
  ])
    assert.ok(!parse(make('syslog', { host })).success, host);
});

test('what comes together must come together', () => {
  const refused = [
    make('elastic', { user: 'u' }),
    make('elastic', { user: 'u', password: 'secret:siem/p' }), // And an API key.
    { ...make('elastic'), apiKey: undefined },
    { ...make('elastic'), apiKey: undefined, password: 'secret:siem/p' },
    make('syslog', { clientKey: 'secret:siem/key' }),
    make('s3', { accessKeyId: 'A'.repeat(20) }),
    make('eventbridge', { secretAccessKey: 'secret:siem/aws' }),
  ];
  for (const value of refused) assert.ok(!parse(value).success, JSON.stringify(value));
  assert.ok(parse({ ...make('elastic'), apiKey: undefined, user: 'u', password: 'secret:siem/p' }).success);
});

test('networks, pins, filters and names are what they say', () => {
  const good = [
    { network: { allow: ['10.0.0.0/8', 'fd00::/8'], pins: [`${'A'.repeat(43)}=`] } },
    { filter: { include: ['node.enroll', 'policy.*'] } },
    { filter: { exclude: ['log.checkpoint'] } },
    { redaction: 'pseudonymous' },
    { name: 'splunk-1' },
  ];
  for (const more of good) assert.ok(parse(make('webhook', more)).success, JSON.stringify(more));
  const bad = [
    { network: { allow: ['10.0.0.0'], pins: [] } },
    { network: { allow: ['10.0.0.0/33'], pins: [] } },
    { network: { allow: ['localhost/8'], pins: [] } },
    { network: { allow: [], pins: ['x'] } },
    { filter: { include: [] } },
    { filter: { include: ['*'] } },
    { filter: { exclude: ['node.*.x'] } },
    { redaction: 'none' },
    { name: 'A' },
    { name: '../a' },
    { name: 'a'.repeat(33) },
    { mapping: 'xml' },
  ];
  for (const more of bad) assert.ok(!parse(make('webhook', more)).success, JSON.stringify(more));
});

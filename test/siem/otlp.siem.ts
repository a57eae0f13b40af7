/** R32: OTLP into the OpenTelemetry Collector, through its own receiver, over TLS. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type ConfigOf, destinationConfig } from '../../lib/siem/config.ts';
import { openOtlp } from '../../lib/siem/destinations/otlp.ts';
import { createLoopbackTls } from '../fakes/loopback-tls.ts';
import { batchOf } from '../fakes/siem-events.ts';
import { heartbeatAfter, wholeFeed } from './feed.ts';
import { findingsOf, freePort, scratch, skipWithout, startDaemon, toolPath, until } from './tools.ts';

type Value = { readonly stringValue?: string; readonly intValue?: string };
type Attribute = { readonly key: string; readonly value: Value };
type Logs = {
  readonly resourceLogs: readonly {
    readonly scopeLogs: readonly {
      readonly logRecords: readonly { readonly body: Value; readonly attributes: readonly Attribute[] }[];
    }[];
  }[];
};

test('R32 OpenTelemetry Collector: every entry once, in order, byte for byte', {
  skip: skipWithout('collector'),
}, async (t) => {
  const folder = scratch(t);
  const port = await freePort();
  const tls = await createLoopbackTls();
  writeFileSync(join(folder, 'cert.pem'), tls.cert);
  writeFileSync(join(folder, 'key.pem'), tls.key);
  const config = join(folder, 'config.yaml');
  writeFileSync(
    config,
    `receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:${port}", tls: {cert_file: ${folder}/cert.pem, key_file: ${folder}/key.pem}}}}}
exporters: {lines: {}}
service: {telemetry: {metrics: {level: none}}, pipelines: {logs: {receivers: [otlp], exporters: [lines]}}}
`,
  );
  const collector = await startDaemon(t, {
    command: toolPath('collector/collector'),
    args: ['--config', `file:${config}`],
    port,
    cwd: folder,
  });
  const destination = openOtlp(
    destinationConfig.parse({
      kind: 'otlp',
      name: 'test',
      mapping: 'raw',
      url: `https://127.0.0.1:${port}/v1/logs`,
      network: { allow: ['127.0.0.0/8'], ca: tls.ca, pins: [] },
    }) as ConfigOf<'otlp'>,
  );
  t.after(() => destination.close());
  const events = wholeFeed(500);
  for (const part of [events.slice(0, 250), [...events.slice(250), heartbeatAfter(events)]]) {
    assert.deepEqual(await destination.send(batchOf(part), {}, AbortSignal.timeout(20_000)), { kind: 'delivered' });
  }
  const records = () =>
    collector
      .output()
      .split('\n')
      .slice(0, -1)
      .flatMap((line) => (JSON.parse(line) as Logs).resourceLogs)
      .flatMap(({ scopeLogs }) => scopeLogs.flatMap(({ logRecords }) => logRecords));
  await until(
    () => records().length === 501,
    () => collector.log().slice(-2000),
  );
  const raws = records().map(
    ({ attributes }) => attributes.find(({ key }) => key === 'log.record.original')?.value.stringValue,
  );
  assert.deepEqual(
    raws.slice(0, 500),
    events.map(({ raw }) => Buffer.from(raw!).toString()),
  );
  const bodies = records().map(({ body }) => body.stringValue ?? '');
  assert.deepEqual(await findingsOf(t, bodies), []);
  assert.deepEqual(
    (await findingsOf(t, bodies.toSpliced(9, 1))).map(({ finding, seq }) => `${finding} ${seq}`),
    ['gap 9'],
  );
});

/** R32: OTLP into the OpenTelemetry Collector, through its own receiver, over TLS. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type ConfigOf, destinationConfig } from '../../lib/siem/config.ts';
import { openOtlp } from '../../lib/siem/destinations/otlp.ts';
import type { EntryEvent, FeedEvent } from '../../lib/siem/event.ts';
import { createLoopbackTls } from '../fakes/loopback-tls.ts';
import { batchOf } from '../fakes/siem-events.ts';
import { heartbeatAfter, hostileFeed, silentFeed, wholeFeed } from './feed.ts';
import { type Daemon, findingsOf, freePort, scratch, skipWithout, startDaemon, toolPath, until } from './tools.ts';

type Value = { readonly stringValue?: string; readonly intValue?: string };
type Attribute = { readonly key: string; readonly value: Value };
type Logs = {
  readonly resourceLogs: readonly {
    readonly scopeLogs: readonly {
      readonly logRecords: readonly { readonly body: Value; readonly attributes: readonly Attribute[] }[];
    }[];
  }[];
};

const skip = skipWithout('collector', 'npm');
const tls = await createLoopbackTls();

async function world(t: TestContext) {
  const folder = scratch(t);
  const port = await freePort();
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
  const started: Daemon[] = [];
  const command = { command: toolPath('collector/collector'), args: ['--config', `file:${config}`], port, cwd: folder };
  const records = () =>
    started
      .flatMap((collector) => collector.output().split('\n').slice(0, -1))
      .flatMap((line) => (JSON.parse(line) as Logs).resourceLogs)
      .flatMap(({ scopeLogs }) => scopeLogs.flatMap(({ logRecords }) => logRecords));
  return {
    async start() {
      const collector = await startDaemon(t, command);
      started.push(collector);
      return collector;
    },
    send: (events: readonly FeedEvent[]) => destination.send(batchOf(events), {}, AbortSignal.timeout(20_000)),
    /** The records as it wrote them, once there are so many. */
    async written(count: number) {
      await until(
        () => records().length >= count,
        () => `${records().length} records; ${started.at(-1)?.log().slice(-2000)}`,
      );
      return {
        bodies: records().map(({ body }) => body.stringValue ?? ''),
        raws: records().map(
          ({ attributes }) => attributes.find(({ key }) => key === 'log.record.original')?.value.stringValue,
        ),
      };
    },
  };
}

const bytesOf = (events: readonly EntryEvent[]) => events.map(({ raw }) => Buffer.from(raw!).toString());
const found = async (t: TestContext, lines: readonly string[]) =>
  (await findingsOf(t, lines)).map(({ finding, seq }) => `${finding} ${seq}`);

test('R32 OpenTelemetry Collector: every entry once, in order, byte for byte; what is done to them is found', {
  skip,
}, async (t) => {
  const { start, send, written } = await world(t);
  await start();
  const events = wholeFeed(500);
  for (const part of [events.slice(0, 250), [...events.slice(250), heartbeatAfter(events)]])
    assert.deepEqual(await send(part), { kind: 'delivered' });
  const { bodies, raws } = await written(501);
  assert.deepEqual(raws.slice(0, 500), bytesOf(events));
  assert.deepEqual(await found(t, bodies), []);
  assert.deepEqual(await found(t, bodies.toSpliced(9, 1)), ['gap 9']);
  assert.deepEqual(await found(t, bodies.with(9, bodies[9]!.replace('\\"ada\\"', '\\"eve\\"'))), ['tampered 9']);
  assert.deepEqual(await send(events.slice(0, 2)), { kind: 'delivered' });
  assert.deepEqual(await found(t, (await written(503)).bodies), ['duplicate 0', 'duplicate 1']);
});

test('R32 OpenTelemetry Collector: stopped, it loses nothing', { skip }, async (t) => {
  const { start, send, written } = await world(t);
  const first = await start();
  const events = wholeFeed(600);
  assert.deepEqual(await send(events.slice(0, 300)), { kind: 'delivered' });
  await first.stop();
  assert.equal((await send(events.slice(300))).kind, 'transient');
  await start();
  assert.deepEqual(await send([...events.slice(300), heartbeatAfter(events)]), { kind: 'delivered' });
  const { bodies, raws } = await written(601);
  assert.deepEqual(raws.slice(0, 600), bytesOf(events));
  assert.deepEqual(await found(t, bodies), []);
});

test('R32 OpenTelemetry Collector: no name of an actor makes a second record; silence is found', {
  skip,
}, async (t) => {
  const { start, send, written } = await world(t);
  await start();
  const events = hostileFeed(150);
  assert.deepEqual(await send([...events, heartbeatAfter(events)]), { kind: 'delivered' });
  const { bodies, raws } = await written(events.length + 1);
  assert.deepEqual(raws.slice(0, -1), bytesOf(events));
  assert.deepEqual(await found(t, bodies), []);
  assert.deepEqual(await send(silentFeed(20)), { kind: 'delivered' });
  const silent = (await written(events.length + 22)).bodies.slice(events.length + 1);
  assert.deepEqual(await found(t, silent), ['silence undefined']);
});

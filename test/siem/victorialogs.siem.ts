/**
 * R32: HEC and syslog into VictoriaLogs, which reads both, over TLS. It has no acknowledgement of HEC, and drops no
 * duplicates.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Secret } from '../../lib/crypto/secret.ts';
import { type ConfigOf, destinationConfig } from '../../lib/siem/config.ts';
import { openSplunkHec } from '../../lib/siem/destinations/splunk-hec.ts';
import { openSyslog } from '../../lib/siem/destinations/syslog.ts';
import type { EntryEvent, FeedEvent } from '../../lib/siem/event.ts';
import { createLoopbackTls } from '../fakes/loopback-tls.ts';
import { batchOf } from '../fakes/siem-events.ts';
import { heartbeatAfter, hostileFeed, silentFeed, wholeFeed } from './feed.ts';
import { findingsOf, freePort, scratch, skipWithout, startDaemon, toolPath, until } from './tools.ts';

const skip = skipWithout('victorialogs', 'npm');
const tls = await createLoopbackTls();
const credentials = { token: new Secret('anything') };

type Kind = 'HEC' | 'syslog';

async function world(t: TestContext, kind: Kind) {
  const folder = scratch(t);
  const port = await freePort();
  const syslogPort = await freePort();
  writeFileSync(join(folder, 'cert.pem'), tls.cert);
  writeFileSync(join(folder, 'key.pem'), tls.key);
  const start = () =>
    startDaemon(t, {
      command: toolPath('victorialogs/victoria-logs'),
      args: [
        ...[`-httpListenAddr=127.0.0.1:${port}`, `-storageDataPath=${folder}/data`, '-retentionPeriod=100y'],
        ...['-tls', `-tlsCertFile=${folder}/cert.pem`, `-tlsKeyFile=${folder}/key.pem`],
        // The event stays the JSON that it is.
        ...['-splunk.preserveJSONKeys=event', '-loggerLevel=ERROR'],
        ...[`-syslog.listenAddr.tcp=127.0.0.1:${syslogPort}`, '-syslog.tls'],
        ...[`-syslog.tlsCertFile=${folder}/cert.pem`, `-syslog.tlsKeyFile=${folder}/key.pem`],
      ],
      port,
      cwd: folder,
    });
  const network = { allow: ['127.0.0.0/8'], ca: tls.ca, pins: [] };
  const common = { name: 'test', mapping: 'raw', network };
  const hec = destinationConfig.parse({
    ...{ kind: 'splunk-hec', ...common, url: `https://127.0.0.1:${port}` },
    ...{ token: 'secret:siem/hec', acknowledge: false },
  });
  const syslog = destinationConfig.parse({ kind: 'syslog', ...common, host: '127.0.0.1', port: syslogPort });
  const destination =
    kind === 'HEC' ? openSplunkHec(hec as ConfigOf<'splunk-hec'>) : openSyslog(syslog as ConfigOf<'syslog'>);
  t.after(() => destination.close());
  return {
    start,
    send: (events: readonly FeedEvent[]) => destination.send(batchOf(events), credentials, AbortSignal.timeout(20_000)),
    /** The events as they are kept, by time. */
    async kept(): Promise<readonly string[]> {
      const query = new URLSearchParams({ query: '* | sort by (_time) | fields _msg', limit: '10000' });
      const lines = (await get(port, `/select/logsql/query?${query}`)).split('\n').filter((line) => line !== '');
      return lines.map((line) => (JSON.parse(line) as { _msg: string })._msg);
    },
  };
}

function get(port: number, path: string): Promise<string> {
  return new Promise((done, fail) => {
    const asked = request({ host: '127.0.0.1', port, path, ca: tls.ca, agent: false }, (answer) => {
      answer.setEncoding('utf8');
      answer.toArray().then((chunks) => done(chunks.join('')), fail);
    });
    asked.once('error', fail).end();
  });
}

const distinct = (lines: readonly string[]) => [...new Map(lines.map((line) => [JSON.parse(line).id, line])).values()];
const rawOf = (lines: readonly string[]) => lines.map((line) => JSON.parse(line).raw);
const bytesOf = (events: readonly EntryEvent[]) => events.map(({ raw }) => Buffer.from(raw!).toString());
const found = async (t: TestContext, lines: readonly string[]) =>
  (await findingsOf(t, lines)).map(({ finding, seq }) => `${finding} ${seq}`);

for (const kind of ['HEC', 'syslog'] as const) {
  test(`R32 VictoriaLogs by ${kind}: every entry once, in order, byte for byte; what comes twice, is lost or altered is found`, {
    skip,
  }, async (t) => {
    const { start, send, kept } = await world(t, kind);
    await start();
    const events = wholeFeed(500);
    assert.deepEqual(await send(events.slice(0, 250)), { kind: 'delivered' });
    assert.deepEqual(await send([...events.slice(250), heartbeatAfter(events)]), { kind: 'delivered' });
    let lines: readonly string[] = [];
    await until(
      async () => {
        lines = await kept();
        return lines.length === 501;
      },
      () => `${lines.length} events`,
    );
    assert.deepEqual(rawOf(lines.slice(0, 500)), bytesOf(events));
    assert.deepEqual(await found(t, lines), []);
    assert.deepEqual(await found(t, lines.toSpliced(77, 1)), ['gap 77']);
    const altered = lines.with(9, lines[9]!.replace('\\"ada\\"', '\\"eve\\"'));
    assert.deepEqual(await found(t, altered), ['tampered 9']);
    // A batch that comes again is there twice, which the query says, and whole once duplicates are dropped.
    assert.deepEqual(await send(events.slice(0, 3)), { kind: 'delivered' });
    await until(async () => {
      lines = await kept();
      return lines.length === 504;
    });
    assert.deepEqual(await found(t, lines), ['duplicate 0', 'duplicate 1', 'duplicate 2']);
    assert.deepEqual(await found(t, distinct(lines)), []);
  });

  test(`R32 VictoriaLogs by ${kind}: a sender that has fallen silent is found`, { skip }, async (t) => {
    const { start, send, kept } = await world(t, kind);
    await start();
    assert.deepEqual(await send(silentFeed(20)), { kind: 'delivered' });
    await until(async () => (await kept()).length === 21);
    assert.deepEqual(await found(t, await kept()), ['silence undefined']);
  });

  test(`R32 VictoriaLogs by ${kind}: stopped, it loses nothing`, { skip }, async (t) => {
    const { start, send, kept } = await world(t, kind);
    const first = await start();
    const events = wholeFeed(600);
    assert.deepEqual(await send(events.slice(0, 300)), { kind: 'delivered' });
    await first.stop();
    assert.equal((await send(events.slice(300))).kind, 'transient');
    await start();
    assert.deepEqual(await send(events.slice(300)), { kind: 'delivered' });
    assert.deepEqual(await send([heartbeatAfter(events)]), { kind: 'delivered' });
    await until(async () => (await kept()).length >= 601);
    assert.deepEqual(await found(t, await kept()), []);
  });

  test(`R32 VictoriaLogs by ${kind}: no name of an actor makes a second event`, { skip }, async (t) => {
    const { start, send, kept } = await world(t, kind);
    await start();
    const events = hostileFeed(150);
    assert.deepEqual(await send([...events, heartbeatAfter(events)]), { kind: 'delivered' });
    await until(async () => (await kept()).length > events.length);
    const lines = await kept();
    assert.deepEqual(rawOf(lines.slice(0, -1)), bytesOf(events));
    assert.deepEqual(await found(t, lines), []);
  });
}

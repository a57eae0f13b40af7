/** R32: syslog over TLS and mutual TLS into rsyslog (OpenSSL and GnuTLS) and syslog-ng. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Secret } from '../../lib/crypto/secret.ts';
import { type ConfigOf, destinationConfig } from '../../lib/siem/config.ts';
import { openSyslog } from '../../lib/siem/destinations/syslog.ts';
import type { EntryEvent, FeedEvent } from '../../lib/siem/event.ts';
import { createLoopbackTls } from '../fakes/loopback-tls.ts';
import { batchOf } from '../fakes/siem-events.ts';
import { heartbeatAfter, hostileFeed, silentFeed, wholeFeed } from './feed.ts';
import { findingsOf, freePort, scratch, skipWithout, startDaemon, toolPath, until } from './tools.ts';

const skip = skipWithout('debian');
const tls = await createLoopbackTls();
const root = toolPath('debian/root');
const lib = join(root, 'usr/lib/x86_64-linux-gnu');
const env = { LD_LIBRARY_PATH: [lib, join(root, 'lib/x86_64-linux-gnu'), join(root, 'usr/lib/syslog-ng')].join(':') };

type Kind = 'rsyslog with OpenSSL' | 'rsyslog with GnuTLS' | 'syslog-ng';
const kinds: readonly Kind[] = ['rsyslog with OpenSSL', 'rsyslog with GnuTLS', 'syslog-ng'];
type Options = { readonly port: number; readonly folder: string; readonly mutual: boolean };

/** Each writes the message of every event as a line. */
function launch(kind: Kind, options: Options): { command: string; args: string[] } {
  const { folder } = options;
  writeFileSync(join(folder, 'ca.pem'), tls.ca);
  writeFileSync(join(folder, 'cert.pem'), tls.cert);
  writeFileSync(join(folder, 'key.pem'), tls.key);
  writeFileSync(join(folder, 'daemon.conf'), kind === 'syslog-ng' ? syslogNg(options) : rsyslog(kind, options));
  const config = join(folder, 'daemon.conf');
  if (kind === 'syslog-ng') {
    const files = ['persist-file', 'pidfile', 'control'].flatMap((name) => [`--${name}`, join(folder, name)]);
    const modules = ['--module-path', join(root, 'usr/lib/syslog-ng/3.38')];
    return { command: join(root, 'usr/sbin/syslog-ng'), args: ['-F', '-f', config, ...modules, ...files] };
  }
  const args = ['-n', '-C', '-f', config, '-i', join(folder, 'pid'), '-M', join(lib, 'rsyslog')];
  return { command: join(root, 'usr/sbin/rsyslogd'), args };
}

function rsyslog(kind: Kind, { port, folder, mutual }: Options): string {
  const driver = kind === 'rsyslog with GnuTLS' ? 'gtls' : 'ossl';
  return `
global(workDirectory="${folder}" maxMessageSize="16k" defaultNetstreamDriver="${driver}"
  defaultNetstreamDriverCAFile="${folder}/ca.pem" defaultNetstreamDriverCertFile="${folder}/cert.pem"
  defaultNetstreamDriverKeyFile="${folder}/key.pem")
module(load="imtcp" streamdriver.name="${driver}" streamdriver.mode="1"
  streamdriver.authmode="${mutual ? 'x509/certvalid' : 'anon'}")
template(name="message" type="string" string="%msg%\\n")
ruleset(name="audit") { action(type="omfile" file="${folder}/out" template="message") }
input(type="imtcp" address="127.0.0.1" port="${port}" ruleset="audit")
`;
}

function syslogNg({ port, folder, mutual }: Options): string {
  const peer = mutual ? `peer-verify(required-trusted) ca-file("${folder}/ca.pem")` : 'peer-verify(optional-untrusted)';
  return `@version: 3.38
options { log-msg-size(16384); };
source s {
  syslog(transport(tls) ip(127.0.0.1) port(${port}) flags(no-multi-line)
    tls(key-file("${folder}/key.pem") cert-file("${folder}/cert.pem") ${peer}));
};
destination d { file("${folder}/out" template("\${MSG}\\n")); };
log { source(s); destination(d); };
`;
}

async function world(t: TestContext, kind: Kind, mutual = false, mapping = 'raw') {
  const options = { port: await freePort(), folder: scratch(t), mutual };
  const out = join(options.folder, 'out');
  const start = () => startDaemon(t, { ...launch(kind, options), env, port: options.port, cwd: options.folder });
  const network = { allow: ['127.0.0.0/8'], ca: tls.ca, pins: [] };
  const identity = mutual ? { clientCertificate: tls.client.cert, clientKey: 'secret:siem/key' } : {};
  const config = { kind: 'syslog', name: 'test', host: '127.0.0.1', port: options.port, mapping, network, ...identity };
  const destination = openSyslog(destinationConfig.parse(config) as ConfigOf<'syslog'>);
  const credentials = mutual ? { clientKey: new Secret(tls.client.key) } : {};
  return {
    start,
    send: (events: readonly FeedEvent[]) => destination.send(batchOf(events), credentials, AbortSignal.timeout(20_000)),
    /** rsyslog leaves the space before a message with it. */
    lines: () =>
      existsSync(out)
        ? readFileSync(out, 'utf8')
            .split('\n')
            .slice(0, -1)
            .map((line) => line.trimStart())
        : [],
  };
}

const rawOf = (lines: readonly string[]) => lines.map((line) => JSON.parse(line).raw);
const bytesOf = (events: readonly EntryEvent[]) => events.map(({ raw }) => Buffer.from(raw!).toString());

for (const kind of kinds) {
  for (const mutual of [false, true]) {
    test(`R32 ${kind}${mutual ? ', mutual TLS' : ''}: every entry once, in order, byte for byte`, {
      skip,
    }, async (t) => {
      const { start, send, lines } = await world(t, kind, mutual);
      await start();
      const events = wholeFeed(500);
      assert.deepEqual(await send(events.slice(0, 250)), { kind: 'delivered' });
      assert.deepEqual(await send([...events.slice(250), heartbeatAfter(events)]), { kind: 'delivered' });
      await until(
        () => lines().length === 501,
        () => `${lines().length} lines`,
      );
      assert.deepEqual(rawOf(lines().slice(0, 500)), bytesOf(events));
      assert.deepEqual(await findingsOf(t, lines()), []);
      const lost = lines().toSpliced(100, 1);
      assert.deepEqual(
        (await findingsOf(t, lost)).map(({ finding, seq }) => `${finding} ${seq}`),
        ['gap 100'],
      );
    });
  }

  test(`R32 ${kind}: a sender that has fallen silent, entries that were altered and that came twice are found`, {
    skip,
  }, async (t) => {
    const { start, send, lines } = await world(t, kind);
    await start();
    const events = silentFeed(20);
    assert.deepEqual(await send(events), { kind: 'delivered' });
    assert.deepEqual(await send(events.slice(0, 3)), { kind: 'delivered' });
    await until(() => lines().length === 24);
    const altered = lines().with(9, lines()[9]!.replace('\\"ada\\"', '\\"eve\\"'));
    assert.deepEqual(
      (await findingsOf(t, altered)).map(({ finding, seq }) => `${finding} ${seq}`),
      ['duplicate 0', 'duplicate 1', 'duplicate 2', 'silence undefined', 'tampered 9'],
    );
  });

  test(`R32 ${kind}: stopped, it loses nothing; killed with a batch on its way, that comes again`, {
    skip,
  }, async (t) => {
    const { start, send, lines } = await world(t, kind);
    const first = await start();
    const events = wholeFeed(3000);
    assert.deepEqual(await send(events.slice(0, 500)), { kind: 'delivered' });
    await first.stop();
    assert.equal((await send(events.slice(500, 1000))).kind, 'transient');
    const second = await start();
    assert.deepEqual(await send(events.slice(500, 1000)), { kind: 'delivered' });
    let isSettled = false;
    const sending = send(events.slice(1000, 3000)).finally(() => {
      isSettled = true;
    });
    while (!isSettled && lines().length <= 1000) await new Promise((done) => setImmediate(done));
    await second.stop('SIGKILL');
    let result = await sending;
    t.diagnostic(`killed with ${lines().length - 1000} of 2000 written: ${result.kind}`);
    const third = await start();
    // Either it had them all before it died, and said so, or it is sent all of them again.
    for (let tries = 0; result.kind !== 'delivered' && tries < 5; tries += 1)
      result = await send(events.slice(1000, 3000));
    assert.deepEqual(result, { kind: 'delivered' });
    assert.deepEqual(await send([heartbeatAfter(events)]), { kind: 'delivered' });
    await third.stop();
    // A kill may tear a line; what is whole must be all.
    const whole = lines().filter(isJson);
    const findings = (await findingsOf(t, whole)).filter(({ finding }) => finding !== 'duplicate');
    assert.deepEqual(findings, []);
    const entries = whole.filter((line) => JSON.parse(line).kind === 'entry');
    assert.deepEqual([...new Set(rawOf(entries))], bytesOf(events));
  });

  test(`R32 ${kind}: no name of an actor makes a second event, in any mapping`, { skip }, async (t) => {
    for (const mapping of ['raw', 'ocsf', 'cef', 'leef'] as const) {
      const { start, send, lines } = await world(t, kind, false, mapping);
      await start();
      const events = hostileFeed(150);
      assert.deepEqual(await send(events), { kind: 'delivered' });
      assert.deepEqual(await send([heartbeatAfter(events)]), { kind: 'delivered' });
      await until(
        () => lines().length > events.length,
        () => `${lines().length} lines`,
      );
      assert.equal(lines().length, events.length + 1);
      if (mapping === 'raw') assert.deepEqual(rawOf(lines().slice(0, -1)), bytesOf(events));
    }
  });
}

function isJson(line: string): boolean {
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false;
  }
}

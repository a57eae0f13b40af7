/** R32: `_bulk` into OpenSearch over TLS: with the shipped template, in an index and in a data stream. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Secret } from '../../lib/crypto/secret.ts';
import { type ConfigOf, destinationConfig } from '../../lib/siem/config.ts';
import { openElastic } from '../../lib/siem/destinations/elastic.ts';
import type { EntryEvent, FeedEvent } from '../../lib/siem/event.ts';
import { createLoopbackTls } from '../fakes/loopback-tls.ts';
import { batchOf, stubOf } from '../fakes/siem-events.ts';
import { heartbeatAfter, hostileFeed, silentFeed, wholeFeed } from './feed.ts';
import { findingsOf, freePort, scratch, shipped, skipWithout, startDaemon, toolPath, until } from './tools.ts';

const skip = skipWithout('opensearch', 'npm');
const tls = await createLoopbackTls();
const credentials = { apiKey: new Secret('bm9ib2R5OmFza3M=') };

type Document = {
  readonly holdfast: { readonly seq?: number; readonly id: string };
  readonly event: { original?: string };
};

async function world(t: TestContext, ...settings: readonly string[]) {
  const folder = scratch(t);
  const port = await freePort();
  writeFileSync(join(folder, 'cert.pem'), tls.cert);
  writeFileSync(join(folder, 'key.pem'), tls.key);
  const pem = ['-in', 'cert.pem', '-inkey', 'key.pem', '-passout', 'pass:test', '-out', 'keys.p12'];
  assert.equal(spawnSync('openssl', ['pkcs12', '-export', ...pem], { cwd: folder }).status, 0);
  const path = `${toolPath('opensearch/classes')}:${toolPath('opensearch/lib')}/*`;
  const start = () =>
    startDaemon(t, {
      command: 'java',
      args: ['-Xmx512m', '-cp', path, 'Server', `${port}`, folder, 'keys.p12', ...settings],
      port,
      cwd: folder,
    });
  const send = (index: string, events: readonly FeedEvent[]) => {
    const config = destinationConfig.parse({
      ...{ kind: 'elastic', name: 'test', index, apiKey: 'secret:siem/key', url: `https://127.0.0.1:${port}` },
      network: { allow: ['127.0.0.0/8'], ca: tls.ca, pins: [] },
    });
    const destination = openElastic(config as ConfigOf<'elastic'>);
    return destination
      .send(batchOf(events), credentials, AbortSignal.timeout(30_000))
      .finally(() => destination.close());
  };
  const call = (method: string, path: string, body?: object) => callJson(port, method, path, body);
  return {
    ...{ start, send, call },
    /** As it is kept, by sequence; heartbeats last. */
    async kept(index: string): Promise<readonly Document[]> {
      await call('POST', `/${index}/_refresh`);
      const query = {
        size: 10_000,
        sort: [{ 'holdfast.seq': { order: 'asc', missing: '_last', unmapped_type: 'long' } }],
      };
      const { hits } = (await call('POST', `/${index}/_search`, query)) as { hits: { hits: { _source: Document }[] } };
      return hits.hits.map(({ _source }) => _source);
    },
  };
}

function callJson(port: number, method: string, path: string, body?: object): Promise<unknown> {
  return new Promise((done, fail) => {
    const headers = { 'content-type': 'application/json' };
    const asked = request({ host: '127.0.0.1', port, path, method, ca: tls.ca, agent: false, headers }, (answer) => {
      answer.setEncoding('utf8');
      answer.toArray().then((chunks) => {
        const text = chunks.join('');
        if ((answer.statusCode ?? 0) < 300) done(JSON.parse(text));
        else fail(new Error(`${method} ${path}: ${answer.statusCode} ${text.slice(0, 2000)}`));
      }, fail);
    });
    asked.once('error', fail).end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** As docs/siem-products.md says for OpenSearch; `plain` for an index in place of a data stream. */
function template(plain?: string): object {
  const text = shipped('elastic/index-template.json').replaceAll(
    /"type": "flattened"(, "ignore_above": \d+)?/g,
    '"type": "flat_object"',
  );
  const { data_stream, ...rest } = JSON.parse(text);
  return plain === undefined ? { ...rest, data_stream } : { ...rest, index_patterns: [plain] };
}

const bytesOf = (events: readonly EntryEvent[]) => events.map(({ raw }) => Buffer.from(raw!).toString());
const found = async (t: TestContext, documents: readonly object[]) =>
  (
    await findingsOf(
      t,
      documents.map((document) => JSON.stringify(document)),
    )
  ).map(({ finding, seq }) => `${finding} ${seq}`);

test('R32 OpenSearch: every entry once, in order, byte for byte, in an index and in a data stream', {
  skip,
}, async (t) => {
  const { start, send, call, kept } = await world(t);
  await start();
  await until(() =>
    call('GET', '/').then(
      () => true,
      () => false,
    ),
  );
  await call('PUT', '/_index_template/holdfast-audit', template());
  await call('PUT', '/_index_template/audit', template('audit'));
  const events = wholeFeed(500);
  for (const index of ['holdfast-audit', 'audit']) {
    assert.deepEqual(await send(index, events.slice(0, 250)), { kind: 'delivered' });
    assert.deepEqual(await send(index, [...events.slice(250), heartbeatAfter(events)]), { kind: 'delivered' });
    // What comes again is there already.
    assert.deepEqual(await send(index, events.slice(100, 300)), { kind: 'delivered' });
    const documents = await kept(index);
    assert.equal(documents.length, 501);
    assert.deepEqual(
      documents.slice(0, 500).map(({ event }) => event.original),
      bytesOf(events),
    );
    assert.deepEqual(await found(t, documents), []);
    assert.deepEqual(await found(t, documents.toSpliced(77, 1)), ['gap 77']);
  }
  // Altered, lost and doubled in the index itself.
  const place = (seq: number) => `/audit/_doc/${encodeURIComponent(events[seq]!.id)}`;
  const [copy, altered] = await Promise.all(
    [11, 9].map((seq) => call('GET', place(seq)) as Promise<{ _source: Document }>),
  );
  await call('DELETE', place(42));
  await call('POST', '/audit/_doc', copy!._source);
  const original = altered!._source.event.original?.replace('"ada"', '"eve"');
  await call('PUT', place(9), { ...altered!._source, event: { ...altered!._source.event, original } });
  assert.deepEqual(await found(t, await kept('audit')), ['duplicate 11', 'gap 42', 'tampered 9']);
  assert.deepEqual(await send('holdfast-audit-silent', silentFeed(20)), { kind: 'delivered' });
  assert.deepEqual(await found(t, await kept('holdfast-audit-silent')), ['silence undefined']);
});

test('R32 OpenSearch: what it refuses of a batch is named, what is too large is said, and an index that is not there too', {
  skip,
}, async (t) => {
  const { start, send, call, kept } = await world(t, 'http.max_content_length=200kb', 'action.auto_create_index=false');
  await start();
  await until(() =>
    call('GET', '/').then(
      () => true,
      () => false,
    ),
  );
  assert.deepEqual((await send('nowhere', wholeFeed(2))).kind, 'config');
  await call('PUT', '/_index_template/audit', template('audit'));
  // A field that is too narrow for some of them, as a mapping that somebody made may be.
  const narrow = { properties: { holdfast: { properties: { n: { type: 'byte' } } } } };
  await call('PUT', '/audit', { mappings: narrow });
  const events = wholeFeed(140);
  assert.deepEqual((await send('audit', events)).kind, 'too_large');
  assert.deepEqual(await send('audit', events.slice(0, 60)), { kind: 'delivered' });
  const result = await send('audit', events.slice(90));
  const refused = events.slice(90).flatMap(({ entry }, index) => (entry.n > 127 ? [{ index, reason: 'refused' }] : []));
  assert.deepEqual(result, { kind: 'partial', rejected: refused });
  const stubs = events.slice(128).map(({ dseq: _, ...event }) => {
    const { dseq: _d, ...stub } = stubOf({ ...event, dseq: 0 });
    return stub;
  });
  assert.deepEqual(await send('audit', stubs), { kind: 'delivered' });
  assert.deepEqual(await send('audit', [...events.slice(60, 90), heartbeatAfter(events)]), {
    kind: 'delivered',
  });
  assert.deepEqual(await found(t, await kept('audit')), []);
});

test('R32 OpenSearch: stopped it loses nothing; killed with a batch on its way, that comes again', {
  skip,
}, async (t) => {
  const { start, send, call, kept } = await world(t);
  const isUp = () =>
    until(() =>
      call('GET', '/').then(
        () => true,
        () => false,
      ),
    );
  const first = await start();
  await isUp();
  await call('PUT', '/_index_template/holdfast-audit', template());
  const events = wholeFeed(1500);
  assert.deepEqual(await send('holdfast-audit', events.slice(0, 250)), { kind: 'delivered' });
  await first.stop();
  assert.equal((await send('holdfast-audit', events.slice(250, 500))).kind, 'transient');
  const second = await start();
  await isUp();
  await until(async () => (await send('holdfast-audit', events.slice(250, 500))).kind === 'delivered');
  const sending = send('holdfast-audit', events.slice(500));
  await new Promise((done) => setImmediate(done));
  await second.stop('SIGKILL');
  t.diagnostic(`killed: ${(await sending).kind}`);
  await start();
  await isUp();
  await until(async () => (await send('holdfast-audit', events.slice(500))).kind === 'delivered');
  assert.deepEqual(await send('holdfast-audit', [heartbeatAfter(events)]), { kind: 'delivered' });
  const documents = await kept('holdfast-audit');
  assert.equal(documents.length, 1501);
  assert.deepEqual(
    documents.slice(0, -1).map(({ event }) => event.original),
    bytesOf(events),
  );
  assert.deepEqual(await found(t, documents), []);
});

test('R32 OpenSearch: no name of an actor makes a second document, or another action', { skip }, async (t) => {
  const { start, send, call, kept } = await world(t);
  await start();
  await until(() =>
    call('GET', '/').then(
      () => true,
      () => false,
    ),
  );
  await call('PUT', '/_index_template/holdfast-audit', template());
  const events = hostileFeed(150);
  assert.deepEqual(await send('holdfast-audit', [...events, heartbeatAfter(events)]), { kind: 'delivered' });
  const documents = await kept('holdfast-audit');
  assert.deepEqual(
    documents.slice(0, -1).map(({ event }) => event.original),
    bytesOf(events),
  );
  assert.deepEqual(await found(t, documents), []);
  const { data_streams } = (await call('GET', '/_data_stream')) as { data_streams: readonly { name: string }[] };
  assert.deepEqual(
    data_streams.map(({ name }) => name),
    ['holdfast-audit'],
  );
  const indices = (await call('GET', '/_cat/indices?format=json')) as readonly { index: string }[];
  assert.deepEqual(
    indices.map(({ index }) => index),
    ['.ds-holdfast-audit-000001'],
  );
});

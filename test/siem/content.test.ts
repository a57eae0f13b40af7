/** What ships for receivers fits what is sent to them; whether it finds anything is shown by `npm run test:siem`. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { mapToDocument } from '../../lib/siem/mappings/map.ts';
import { type HttpsReceiver, startHttpsReceiver } from '../fakes/https-receiver.ts';
import { createLoopbackTls } from '../fakes/loopback-tls.ts';
import { batchOf, heartbeat, logins, specimens, stubOf, testLog } from '../fakes/siem-events.ts';
import { httpFixtures } from '../fakes/siem-receivers.ts';
import { shipped } from './tools.ts';

const events = [...logins(1), stubOf(logins(1)[0]!), heartbeat];

async function sentTo(t: TestContext, kind: string): Promise<HttpsReceiver['requests']> {
  const fixture = httpFixtures[kind]!;
  const tls = await createLoopbackTls();
  const server = await startHttpsReceiver(tls, fixture.receiver().handle);
  const destination = fixture.open(server.base, { allow: ['127.0.0.0/8'], ca: tls.ca, pins: [] });
  t.after(async () => {
    await destination.close();
    await server.close();
  });
  await destination.send(batchOf(events), fixture.credentials, AbortSignal.timeout(10_000));
  return server.requests;
}

type Properties = { readonly [name: string]: { readonly type?: string; readonly properties?: Properties } };

test('the index template has every field of every event, by its type', () => {
  const template = JSON.parse(shipped('elastic/index-template.json')).template.mappings.properties as Properties;
  const missing = new Set<string>();
  const walk = (value: unknown, properties: Properties | undefined, path: string) => {
    for (const [name, each] of Object.entries(value as object)) {
      const field = properties?.[name];
      const here = path === '' ? name : `${path}.${name}`;
      if (field === undefined) missing.add(here);
      else if (field.type === 'flattened') continue;
      else if (field.properties !== undefined) walk(each, field.properties, here);
      else assert.equal(field.type === 'long', typeof each === 'number', here);
    }
  };
  for (const event of [...specimens(), ...events]) walk(mapToDocument('ecs', event, { log: testLog }), template, '');
  // Kept in the document and searched by nobody.
  missing.delete('holdfast.actor.role');
  missing.delete('holdfast.lane');
  missing.delete('holdfast.n');
  missing.delete('holdfast.fetch');
  assert.deepEqual([...missing], []);
});

test('the table for Sentinel has the columns of a row, and no row has others', async (t) => {
  const requests = await sentTo(t, 'sentinel');
  const columns = JSON.parse(shipped('sentinel/table.json')).properties.schema.columns as { name: string }[];
  const names = new Set(columns.map(({ name }) => name));
  for (const row of JSON.parse(requests.at(-1)!.body.toString('utf8'))) {
    for (const name of Object.keys(row))
      assert.ok(names.delete(name) || columns.some((one) => one.name === name), name);
  }
  // Only a filtered feed has one.
  names.delete('Dseq');
  assert.deepEqual([...names], []);
});

test('the Splunk app: every indexed field is declared, every macro that is used exists', async (t) => {
  const requests = await sentTo(t, 'splunk-hec');
  const declared = new Set(
    [...shipped('splunk/holdfast/default/fields.conf').matchAll(/^\[(\w+)\]$/gm)].map(([, name]) => name),
  );
  for (const line of requests[0]!.body.toString('utf8').split('\n')) {
    for (const name of Object.keys(JSON.parse(line).fields)) assert.ok(declared.has(name), name);
  }
  const macros = shipped('splunk/holdfast/default/macros.conf');
  const searches = shipped('splunk/holdfast/default/savedsearches.conf');
  const defined = new Set([...macros.matchAll(/^\[(\w+)\]$/gm)].map(([, name]) => name));
  for (const [, name] of `${macros}${searches}`.matchAll(/`(\w+)`/g)) assert.ok(defined.has(name), name);
  assert.equal([...searches.matchAll(/^search = `holdfast_\w+`$/gm)].length, 5);
});

test('the ES|QL searches name no field that the index template lacks', () => {
  const { properties } = JSON.parse(shipped('elastic/index-template.json')).template.mappings;
  const folder = new URL('../../siem/elastic/', import.meta.url);
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.esql'))) {
    const text = shipped(`elastic/${file}`).replaceAll(/^\/\/.*$/gm, '');
    for (const [, group, name] of text.matchAll(/\b(holdfast|event)\.(\w+)/g)) {
      assert.ok(properties[group!].properties[name!] !== undefined, `${file}: ${group}.${name}`);
    }
  }
});

/** Incidents of deserialisation: what reads bytes from outside makes plain values of them, and nothing of the bytes' choosing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createIdentityApp } from '../../functions/identity/app.ts';
import { parseYaml } from '../../lib/policy/yaml.ts';
import { decodeEnvelope } from '../../lib/wire/envelope.ts';
import { decodeRequest } from '../../lib/wire/messages.ts';
import { bearerHeaders, createAdminWorld, testLocalAdminToken, testSite } from '../fakes/admin.ts';
import { createMachine, createTestFleet, enrollJson, signedBytes } from '../fakes/fleet.ts';

/** Names by which other decoders were made to build objects, or to change what all objects have. */
const tags: readonly string[] = [
  '{"__proto__":{"polluted":true}}',
  '{"constructor":{"prototype":{"polluted":true}}}',
  '{"name":"x","role":"viewer","__proto__":{"polluted":true}}',
  '{"$type":"System.Diagnostics.Process","polluted":true}',
  '{"@type":"com.sun.rowset.JdbcRowSetImpl","dataSourceName":"ldap://x"}',
  '{"__unhandled_exc__":{"__class__":"os.system","__args__":["id"]}}',
  '{"py/object":"os.system","_$$ND_FUNC$$_x":"function(){polluted=true}()"}',
  '[{"__proto__":[]}]',
];
const yamlTags = ['!!js/function "return 1"', '!!python/object/apply:os.system [id]', '!<tag:x> {}', '&a [*a]'];

function assertClean(): void {
  assert.equal(({} as { polluted?: unknown }).polluted, undefined);
  assert.equal(([] as unknown as { polluted?: unknown }).polluted, undefined);
  assert.equal((globalThis as { polluted?: unknown }).polluted, undefined);
}

test('incident 29: Wazuh CVE-2025-24016, CVE-2026-25769: type tags and prototypes are refused by every decoder, and change nothing', async () => {
  const world = await createAdminWorld();
  const headers = { ...bearerHeaders(testLocalAdminToken), 'content-type': 'application/json', 'if-match': '"1"' };
  let sent = 0;
  for (const { method, path, schema } of world.routes) {
    if (method === 'GET' || schema?.body === undefined) continue;
    const url = `${testSite}${path.replaceAll(/:[a-zA-Z0-9]+(\{[^}]*\})?/g, '0123456789abcdef')}`;
    for (const body of tags) {
      const { status } = await world.app.request(url, { method, headers, body });
      assert.ok(status >= 400 && status < 500, `${method} ${path} ${body}: ${status}`);
      sent += 1;
    }
  }
  assert.ok(sent > 100, String(sent));
  assertClean();

  const fleet = await createTestFleet();
  const app = createIdentityApp({
    ...fleet.issuance,
    descriptor: fleet.descriptor,
    logger: { error: assert.fail },
    source: () => 'test',
    rateLimit: { burst: 1_000, perSecond: 1_000, maxSources: 10 },
  });
  const post = (body: string | Uint8Array) =>
    app.request('/v1/enroll', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: typeof body === 'string' ? body : new Uint8Array(body),
    });
  const machine = await createMachine();
  const honest = enrollJson(machine, await fleet.token());
  for (const body of tags) assert.equal((await post(body)).status, 400, body);
  for (const extra of ['constructor', '$type', 'toString', 'unknown'])
    assert.equal((await post(signedBytes('enroll', machine, { ...honest, [extra]: { polluted: true } }))).status, 400);
  assertClean();

  for (const text of [...tags, ...yamlTags.map((tag) => `crate: ${tag}\n`)]) {
    for (const decode of [decodeRequest, (bytes: Uint8Array) => decodeEnvelope(bytes, 1 << 20)])
      assert.equal(decode(Buffer.from(text)), undefined, text);
  }
  for (const tag of yamlTags)
    assert.throws(() => parseYaml(Buffer.from(`crate: ${tag}\n`), 'crate.yaml'), { name: 'PolicyError' }, tag);
  assertClean();
});

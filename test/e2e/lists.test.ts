/** Lists of more than one page, from the command line to the store of a whole control plane. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runCli } from '../../cli/program.ts';
import { apiTokenKey, apiTokenListing } from '../../lib/access/api-tokens.ts';
import { sha256Hex } from '../../lib/crypto/digest.ts';
import { tokenKey, tokenListing } from '../../lib/identity/tokens.ts';
import { placed, placeWrite } from '../../lib/store/listing.ts';
import type { Write } from '../../lib/store/port.ts';
import { openSqliteStore } from '../../lib/store/sqlite.ts';
import { startFleet, type TestFleet } from './fleet.ts';

/** The server gives 500 at once. */
const count = 1_100;
/** So many of the first ones are from before lists had places. */
const old = 30;

/** Straight into the file of the running server, which is shared by processes. */
async function fill(fleet: TestFleet): Promise<void> {
  const store = openSqliteStore(fleet.server.paths.store);
  const at = Date.UTC(2026, 0, 1);
  const writes = Array.from({ length: count }, (_, i): Write[] => {
    const hash = sha256Hex(`token ${i}`);
    const mark = i < old ? {} : placed;
    const both = { ...mark, state: 'active', createdAt: at + i, createdBy: 'ada' };
    const token = { ...tokenKey(hash), ...both, state: 'open', labels: {}, expires: at, hostname: `host-${i}` };
    const apiToken = { ...apiTokenKey(hash), ...both, name: `name-${i}`, owner: 'ada', uid: '00' };
    const document = { pk: 'compliance-document', sk: `report-${i}.pdf`, sha256: hash, bytes: 1, uploadedAt: at };
    const places = [tokenListing, apiTokenListing(), apiTokenListing('ada')].map(({ places: pk }) =>
      placeWrite(pk, at + i, hash),
    );
    return [
      { kind: 'put', item: token },
      { kind: 'put', item: apiToken },
      { kind: 'put', item: { ...document, uploadedBy: 'ada' } },
      ...(i < old ? [] : places),
    ];
  });
  for (let start = 0; start < count; start += 16)
    assert.deepEqual(await store.transact(writes.slice(start, start + 16).flat()), { ok: true });
  await store.close();
}

async function run(fleet: TestFleet, ...args: string[]) {
  const ran = { out: '', err: '' };
  const code = await runCli(['--state', fleet.state, ...args], {
    out(text) {
      ran.out += text;
    },
    err(text) {
      ran.err += text;
    },
    width: undefined,
    interactive: false,
    environment: {},
    stopped: () => new Promise(() => undefined),
  });
  assert.equal(code, 0, ran.err);
  return ran.out;
}

test('token list, api-token list and compliance documents show every page, as text, as JSON, and up to --limit', async (t) => {
  const fleet = await startFleet(t);
  await fill(fleet);
  const numbers = Array.from({ length: count }, (_, i) => i);
  const newestFirst = numbers.toReversed();
  for (const { args, nameOf, order } of [
    { args: ['token', 'list'], nameOf: (row: { hostname: string }) => row.hostname, order: newestFirst },
    { args: ['api-token', 'list'], nameOf: (row: { name: string }) => row.name, order: newestFirst },
    { args: ['api-token', 'list', '--owner', 'ada'], nameOf: (row: { name: string }) => row.name, order: newestFirst },
    { args: ['compliance', 'documents'], nameOf: (row: { name: string }) => row.name, order: undefined },
  ]) {
    const seen = (JSON.parse(await run(fleet, ...args, '--json')) as never[]).map((row) =>
      Number(/[0-9]+/.exec(nameOf(row))?.[0]),
    );
    assert.deepEqual(new Set(seen), new Set(numbers), args.join(' '));
    assert.equal(seen.length, count);
    if (order !== undefined) assert.deepEqual(seen.slice(0, count - old), order.slice(0, count - old));
    const lines = (await run(fleet, ...args)).trimEnd().split('\n');
    assert.equal(lines.length, count + 1);
    for (const limit of [1, 600]) {
      const some = JSON.parse(await run(fleet, ...args, '--limit', String(limit), '--json')) as never[];
      assert.deepEqual(
        some.map((row) => Number(/[0-9]+/.exec(nameOf(row))?.[0])),
        seen.slice(0, limit),
      );
    }
  }
});

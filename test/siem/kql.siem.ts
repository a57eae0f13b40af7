/**
 * R32: the shipped KQL, parsed and bound by Microsoft's own parser over the columns of the shipped table; and run, by a
 * translator to SQL and DuckDB, over the rows that the destination sends. That is not Microsoft's engine.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { EntryEvent, FeedEvent } from '../../lib/siem/event.ts';
import { createLoopbackTls } from '../fakes/loopback-tls.ts';
import { batchOf } from '../fakes/siem-events.ts';
import { runningKinds } from '../fakes/siem-kinds.ts';
import { filteredFeed, heartbeatAfter, wholeFeed, withHeartbeat } from './feed.ts';
import { judge, openDuckDb, requireTool, scratch, shipped, skipWithout } from './tools.ts';

const skip = skipWithout('npm');

test('R32 the parser has nothing to say of the shipped function, and much of a wrong one', { skip }, () => {
  const text = shipped('sentinel/HoldfastFindings.kql');
  assert.deepEqual(problems(text), []);
  assert.notDeepEqual(problems(text.replace('hash_sha256(Raw) != Body', 'hash_sha256(Rav) != Body')), []);
  assert.notDeepEqual(problems(text.replace('| summarize', '| sumarize')), []);
});

test('R32 run over what the destination sent: nothing in a whole feed, and each thing that is done to one', {
  skip: skipWithout('npm', 'kql'),
}, async (t) => {
  const events = wholeFeed(60);
  const rows = await rowsOf(withHeartbeat(events));
  assert.equal(rows.length, 61);
  assert.deepEqual(await findings(t, rows), []);
  const edited = (edit: (row: Row) => Row, at: number) => rows.with(at, edit(rows[at]!));
  const altered = edited((row) => ({ ...row, Raw: `${row['Raw']}`.replace('"ada"', '"eve"') }), 7);
  assert.deepEqual(await findings(t, altered), ['tampered 7']);
  const relinked = edited((row) => ({ ...row, Chain: 'a'.repeat(64) }), 7);
  assert.deepEqual(await findings(t, relinked), ['tampered 7', 'tampered 8']);
  const counterfeit = { ...rows[7]!, Raw: '{}' };
  assert.ok((await findings(t, [...rows, counterfeit])).includes('tampered 7'));
  assert.deepEqual(await findings(t, rows.toSpliced(11, 2)), ['gap 11']);
  assert.deepEqual(await findings(t, rows.toSpliced(59, 1)), ['gap 59']);
  assert.deepEqual(await findings(t, rows.toSpliced(0, 60)), ['gap 0']);
  assert.deepEqual(await findings(t, [...rows, rows[3]!]), ['duplicate 3']);
  const silent = await rowsOf([...events, heartbeatAfter(events, Date.now() - 400_000)]);
  const old = silent.map((row) => ({ ...row, TimeGenerated: new Date(Date.now() - 400_000).toISOString() }));
  assert.deepEqual(await findings(t, old), ['silence null']);
});

test('R32 run over a filtered feed: its own sequence is what counts', {
  skip: skipWithout('npm', 'kql'),
}, async (t) => {
  const rows = await rowsOf(withHeartbeat(filteredFeed(60)));
  assert.deepEqual(await findings(t, rows), []);
  assert.equal((await findings(t, rows.toSpliced(5, 1))).length, 1);
  assert.match(`${await findings(t, rows.toSpliced(rows.length - 2, 1))}`, /^gap \d+$/);
});

type Row = Readonly<Record<string, unknown>>;

async function rowsOf(events: readonly (EntryEvent | FeedEvent)[]): Promise<readonly Row[]> {
  const kind = runningKinds['sentinel']!;
  const tls = await createLoopbackTls();
  const receiver = await kind.start(tls);
  const destination = kind.open(`https://127.0.0.1:${receiver.port}`, { allow: ['127.0.0.0/8'], ca: tls.ca, pins: [] });
  try {
    const sent = await destination.send(batchOf(events), kind.credentials, AbortSignal.timeout(10_000));
    assert.deepEqual(sent, { kind: 'delivered' });
    return JSON.parse(receiver.http!.server.requests.at(-1)!.body.toString('utf8'));
  } finally {
    await destination.close();
    await receiver.close();
  }
}

/** Types of a workspace's table, as DuckDB has them. */
const types: Readonly<Record<string, string>> = {
  datetime: 'timestamp',
  string: 'varchar',
  long: 'bigint',
  dynamic: 'json',
};

async function findings(t: TestContext, rows: readonly Row[]): Promise<readonly string[]> {
  const columns = JSON.parse(shipped('sentinel/table.json')).properties.schema.columns as {
    name: string;
    type: string;
  }[];
  const names = columns.map(({ name }) => name);
  const sql = judge('kql', shipped('sentinel/HoldfastFindings.kql'), [
    JSON.stringify({ Holdfast_CL: names }),
    '"Log", "Seq"',
  ]);
  const file = join(scratch(t), 'rows.ndjson');
  writeFileSync(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  const database = await openDuckDb();
  const table = columns.map(({ name, type }) => `"${name}": '${types[type]}'`).join();
  await database.run("set timezone = 'UTC'");
  await database.run(`create table "Holdfast_CL" as select * from read_ndjson('${file}', columns = {${table}})`);
  const found = await database.rows(`select "Finding", "Seq" from (${sql}) order by all`);
  database.close();
  return [...new Set(found.map(({ Finding, Seq }) => `${Finding} ${Seq}`))];
}

function problems(text: string): readonly string[] {
  requireTool('@kusto/language-service-next/bridge.min.js');
  requireTool('@kusto/language-service-next/Kusto.Language.Bridge.min.js');
  const { KustoCode, GlobalState, Symbols } = (globalThis as unknown as { Kusto: Kusto }).Kusto.Language;
  const { columns } = JSON.parse(shipped('sentinel/table.json')).properties.schema;
  const schema = columns.map(({ name, type }: { name: string; type: string }) => `${name}:${type}`).join();
  const table = Symbols.TableSymbol.From(`(${schema})`).WithName('Holdfast_CL');
  const globals = GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.$ctor1('workspace', [table]));
  const diagnostics = KustoCode.ParseAndAnalyze(text, globals).GetDiagnostics();
  return Array.from({ length: diagnostics.Count }, (_, i) => diagnostics.getItem(i).Message);
}

/** Of what the package has, what is used here; its own types don't say how a database is made. */
type Kusto = {
  readonly Language: {
    readonly KustoCode: {
      ParseAndAnalyze(
        text: string,
        globals: unknown,
      ): {
        GetDiagnostics(): { readonly Count: number; getItem(i: number): { readonly Message: string } };
      };
    };
    readonly GlobalState: { readonly Default: { WithDatabase(database: unknown): unknown } };
    readonly Symbols: {
      readonly TableSymbol: { From(schema: string): { WithName(name: string): unknown } };
      readonly DatabaseSymbol: { readonly $ctor1: new (name: string, members: readonly unknown[]) => unknown };
    };
  };
};

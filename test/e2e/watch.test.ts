/** Commands that wait, prove and hand out files, against a whole control plane. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCli } from '../../cli/program.ts';
import type { CheckpointView } from '../../functions/admin/routes/audit.ts';
import type { DriftView } from '../../functions/admin/routes/drift.ts';
import type { RunView } from '../../functions/admin/routes/runs.ts';
import { converge, startFleet, type TestFleet } from './fleet.ts';

/** Runs a command as local-admin; `onOut` may tell it to stop. */
async function run(
  fleet: TestFleet,
  args: readonly string[],
  onOut: (text: string, stop: () => void) => void = () => {},
) {
  const ran = { out: '', err: '' };
  const { promise, resolve } = Promise.withResolvers<void>();
  const code = await runCli(['--state', fleet.state, ...args], {
    out(text) {
      ran.out += text;
      onOut(text, resolve);
    },
    err(text) {
      ran.err += text;
    },
    width: undefined,
    interactive: false,
    environment: {},
    pause: async () => undefined,
    stopped: () => promise,
  });
  return { code, ...ran };
}

test('--watch --json prints a document a change, and ends with 0 when it is told to stop', async (t) => {
  const fleet = await startFleet(t);
  const documents: { state: string }[][] = [];
  const joined: Promise<unknown>[] = [];
  const ran = await run(fleet, ['node', 'list', '--watch', '--json'], (text, stop) => {
    documents.push(JSON.parse(text));
    if (documents.length === 1) joined.push(fleet.join('node-1'));
    else stop();
  });
  assert.equal(ran.code, 0, ran.err);
  await Promise.all(joined);
  assert.deepEqual(
    documents.map((nodes) => nodes.map(({ state }) => state)),
    [[], ['active']],
  );
  assert.equal(ran.out.trimEnd().split('\n').length, 2);

  const watched = await run(fleet, ['status', '--watch'], (_text, stop) => stop());
  assert.equal(watched.code, 0, watched.err);
  assert.match(watched.out, /1 active/);
});

/** What a watching command printed first, and again after the change; it is told to stop then. */
async function printedAgain(
  fleet: TestFleet,
  args: readonly string[],
  change: () => Promise<unknown>,
): Promise<string[]> {
  const printed: string[] = [];
  let changed: Promise<unknown> = Promise.resolve();
  const ran = await run(fleet, [...args, '--watch'], (text, stop) => {
    printed.push(text);
    if (printed.length > 1) return stop();
    changed = change();
    // What fails to change is not waited for.
    changed.catch(stop);
  });
  await changed;
  assert.deepEqual([ran.code, ran.err], [0, '']);
  return printed;
}

test('run list, run show and drift list print a change again under --watch, as text and as JSON', async (t) => {
  const fleet = await startFleet(t);
  const path = join(fleet.root, 'motd');
  await fleet.publish(`  - file:\n      path: ${path}\n      content: "one\\n"\n`);
  const { agent, uuid } = await fleet.join('node-1');
  let times = 0;
  /** Somebody changes the file on the machine, and the next run mends it. */
  const drift = async () => {
    await writeFile(path, `changed ${times++}\n`);
    assert.deepEqual(Object.values((await converge(agent)).results), ['updated']);
  };
  assert.deepEqual(Object.values((await converge(agent)).results), ['created']);
  await drift();

  const lists = await printedAgain(fleet, ['run', 'list', uuid, '--json'], drift);
  const [runs, moreRuns] = lists.map((text) => JSON.parse(text) as RunView[]);
  assert.deepEqual(moreRuns?.slice(1), runs);
  assert.equal(moreRuns?.length, 3);

  const shows = await printedAgain(fleet, ['run', 'show', uuid, '--json'], drift);
  const [shown, newer] = shows.map((text) => JSON.parse(text) as RunView);
  assert.equal(shown?.runId, moreRuns?.[0]?.runId);
  assert.notEqual(newer?.runId, shown?.runId);
  assert.deepEqual(newer?.counts['updated'], 1);

  const drifts = await printedAgain(fleet, ['drift', 'list', '--json'], drift);
  const [drifted, again] = drifts.map((text) => JSON.parse(text) as DriftView[]);
  assert.deepEqual([drifted?.length, again?.length], [1, 1]);
  assert.equal(again?.[0]?.outside, (drifted?.[0]?.outside ?? 0) + 1);
  assert.deepEqual(again?.[0]?.events.slice(1), drifted?.[0]?.events);

  for (const args of [
    ['run', 'list', uuid],
    ['run', 'show', uuid],
    ['drift', 'list', '--node', uuid],
  ]) {
    const [first = '', second = ''] = await printedAgain(fleet, args, drift);
    // As text, the second is set off by an empty line, and says what the first did not.
    assert.match(second, /^\n/, args.join(' '));
    assert.notEqual(second.trim(), first.trim(), args.join(' '));
    assert.match(second, /updated|outside/, args.join(' '));
  }
});

test('R26 R30 an entry is proved by the server, verdicts and documents are had from the command line', async (t) => {
  const fleet = await startFleet(t);
  // The log is published within a second of the start; each look at it is one request, not a wait for a time.
  while ((await fleet.client.get<CheckpointView>('/v1/audit/checkpoint')).size === 0);
  const proved = await run(fleet, ['audit', 'prove', '0']);
  assert.equal(proved.code, 0, proved.err);
  const file = join(fleet.directory, '0.tlog-proof');
  await writeFile(file, proved.out);
  const verified = await run(fleet, ['audit', 'verify', file]);
  assert.equal(verified.code, 0, verified.err);
  assert.match(verified.out, /^entry 0 of /);
  assert.equal((await run(fleet, ['audit', 'prove', '999999'])).code, 1);

  const verdicts = await run(fleet, ['compliance', 'verification']);
  assert.equal(verdicts.code, 0, verdicts.err);
  assert.match(verdicts.out, /integrity +pass/i);

  const [report, copy] = [join(fleet.directory, 'report.pdf'), join(fleet.directory, 'copy.pdf')];
  await writeFile(report, 'what was found');
  assert.equal((await run(fleet, ['compliance', 'upload', report])).code, 0);
  assert.equal((await run(fleet, ['compliance', 'download', 'report.pdf', copy])).code, 0);
  assert.equal(await readFile(copy, 'utf8'), 'what was found');
  const again = await run(fleet, ['compliance', 'download', 'report.pdf', copy]);
  assert.deepEqual([again.code, again.err.includes('it is there already')], [1, true]);
  assert.equal((await run(fleet, ['compliance', 'download', 'none.pdf', `${copy}2`])).code, 1);
});

/** A running agent of this machine, updated under load; and signed builds that are no good, which undo themselves. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EntryView } from '../../functions/admin/routes/audit.ts';
import { sha256Hex } from '../../lib/crypto/digest.ts';
import { startFleet } from '../e2e/fleet.ts';
import { agentBuild, type BuiltAgent } from './builds.ts';
import { holdfast, installAt, type Machine, ringOf, until } from './machine.ts';

test('R37 R39 old build → new build under load; then the bad builds, each rolled back by itself', async (t) => {
  const fleet = await startFleet(t);
  const old = agentBuild('1.0.0');
  const machine = installAt(t, fleet.directory, old);
  const files = Array.from({ length: 40 }, (_, index) => join(fleet.root, `file-${index}`));
  const publish = (content: string) =>
    fleet.publish(files.map((path) => `  - file: { path: ${path}, content: "${content}\\n" }\n`).join(''));
  await publish('one');
  const { token } = await fleet.token();
  const joined = await machine.run('join', '--server', fleet.server.url, '--token', token, '--state', machine.state);
  assert.equal(joined.status, 0, joined.stderr);
  const service = machine.start();
  await until('the first run', machine, () => isContent(files, 'one'));

  // The new build, while releases follow one another.
  await holdfast(fleet, 'artifact', 'trust', old.keys);
  await upload(agentBuild('1.1.0'));
  let stopLoad = false;
  let published = 0;
  const load = (async () => {
    while (!stopLoad) {
      await publish(`load ${published++}`);
      await sleep(300);
    }
  })();
  const pasted = JSON.parse(
    await holdfast(
      ...([fleet, 'artifact', 'install-command', '1.1.0', '--keys', old.keys] as const),
      ...['--url', 'https://downloads.example/holdfast-agent', '--json'],
    ),
  );
  assert.ok(pasted.oneLine.includes(sha256Hex(readFileSync(agentBuild('1.1.0').program))));
  await rollout('1.1.0');
  await until('1.1.0 to be confirmed', machine, () => activeVersion(machine) === '1.1.0');
  await until('the control plane to know', machine, async () => (await ringOf(fleet, 'all'))?.updated === 1);
  stopLoad = true;
  await load;
  await until('the newest release', machine, () => isContent(files, `load ${published - 1}`));
  assert.ok(published > 5, String(published));
  assert.equal(service.exitCode, null, 'the service is the very process that was started');
  assert.match((await machine.run('status', '--state', machine.state)).stdout, /release/);

  // What was signed and can't work goes back by itself, and the machine is held all the same.
  for (const [version, kind, reason] of [
    ['1.2.0', 'crash', 'exited'],
    ['1.3.0', 'hang', 'deadline'],
  ] as const) {
    await upload(agentBuild(version, kind));
    const began = Date.now();
    await rollout(version);
    await until(`${version} to be rolled back`, machine, async () => (await ringOf(fleet, 'all'))?.failed === 1);
    t.diagnostic(`${kind}: rolled back and known after ${Date.now() - began} ms`);
    assert.equal(activeVersion(machine), '1.1.0');
    assert.match((await ringOf(fleet, 'all'))?.reason ?? '', /^1 of 1 nodes failed$/);
    const [update] = await entriesOf('node.update', version);
    const said = [update?.outcome, update?.detail['result'], update?.detail['reason']];
    assert.deepEqual(said, ['failure', 'rolled_back', reason]);
    assert.equal((await entriesOf('artifact.halt', version)).length, 1);
    await publish(`after ${version}`);
    await until('a release after the roll-back', machine, () => isContent(files, `after ${version}`));
  }

  // Without its state it still takes nothing older.
  await machine.stop();
  rmSync(join(machine.root, 'update.json'));
  rmSync(machine.state, { recursive: true });
  const again = await fleet.token();
  const rejoin = await machine.run(
    'join',
    '--server',
    fleet.server.url,
    '--token',
    again.token,
    '--state',
    machine.state,
  );
  assert.equal(rejoin.status, 0, rejoin.stderr);
  machine.log.length = 0;
  machine.start();
  await until('a good build to be found again', machine, () => activeVersion(machine) === '1.1.0');
  await upload(agentBuild('1.0.5'));
  await rollout('1.0.5');
  await publish('last');
  await until('the newest release', machine, () => isContent(files, 'last'));
  await sleep(2000);
  assert.equal(activeVersion(machine), '1.1.0');
  assert.equal((await ringOf(fleet, 'all'))?.updated, 0);

  async function upload(build: BuiltAgent): Promise<void> {
    await holdfast(fleet, 'artifact', 'publish', build.program, '--manifest', build.manifest);
  }
  async function rollout(version: string): Promise<void> {
    await holdfast(fleet, 'artifact', 'rollout', version, '--ring', 'all');
  }
  /** Once they are sealed. */
  async function entriesOf(type: string, version: string) {
    let found: readonly EntryView['entry'][] = [];
    await until(`the entry ${type} about ${version}`, machine, async () => {
      const listed = JSON.parse(
        await holdfast(fleet, 'audit', 'list', '--type', type, '--json'),
      ) as readonly EntryView[];
      found = listed.map(({ entry }) => entry).filter(({ detail }) => detail['version'] === version);
      return found.length > 0;
    });
    return found;
  }
});

function isContent(files: readonly string[], content: string): boolean {
  try {
    return files.every((path) => readFileSync(path, 'utf8') === `${content}\n`);
  } catch {
    return false;
  }
}

/** As the signed manifest of the active slot says. */
function activeVersion(machine: Machine): string {
  const state = machine.updateState();
  const place = state?.['trial'] === undefined ? (state?.['active'] ?? 'own') : 'trial';
  if (place === 'own' || place === 'trial') return String(place);
  const note = readFileSync(join(machine.root, 'slots', String(place), 'holdfast-agent.manifest'), 'utf8');
  return /^version (.*)$/m.exec(note)?.[1] ?? '';
}

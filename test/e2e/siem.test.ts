/** Delivery through the whole control plane: commands, dispatcher, network, a real HTTPS receiver, and the pull feed. */
import assert from 'node:assert/strict';
import { appendFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCli } from '../../cli/program.ts';
import type { PulledPage } from '../../functions/admin/routes/audit-events.ts';
import type { DestinationView } from '../../functions/admin/routes/siem.ts';
import { startAuditReceiver } from '../fakes/audit-receiver.ts';
import { startFleet } from './fleet.ts';

test('R32 a destination from `siem add` to `siem remove`: all arrives, byte for byte, and is what can be pulled', async (t) => {
  const fleet = await startFleet(t);
  const receiver = await startAuditReceiver();
  t.after(receiver.close);
  const cli = (...args: string[]) => command('siem', ...args);
  const command = async (...args: string[]) => {
    const shown = { out: '', err: '' };
    const code = await runCli(['--state', fleet.state, '--json', ...args], {
      out: (text) => {
        shown.out += text;
      },
      err: (text) => {
        shown.err += text;
      },
      ...{ width: undefined, interactive: false, environment: {}, stopped: () => new Promise(() => undefined) },
    });
    return { code, ...shown, view: shown.out === '' ? undefined : (JSON.parse(shown.out) as DestinationView) };
  };
  const ca = join(fleet.directory, 'ca.pem');
  await writeFile(ca, receiver.ca);
  await fleet.client.put('/v1/secrets/siem%2Fhook', Buffer.from(`whsec_${Buffer.alloc(32, 7).toString('base64')}`));
  const where = ['--set', `url=${receiver.url}`, '--set', 'secret=secret:siem/hook', '--mapping', 'raw'];
  assert.equal((await cli('add', 'hook', 'webhook', ...where, '--set', 'url=http://x')).code, 2);
  const added = await cli('add', 'hook', 'webhook', ...where, '--ca', ca, '--allow', '127.0.0.0/8');
  assert.equal(added.code, 0, added.err);

  const tested = await cli('test', 'hook');
  assert.equal(tested.code, 0, tested.err);
  const { nonce, state } = tested.view as unknown as { nonce: string; state: string };
  assert.equal(state, 'unconfirmed');
  assert.ok(
    receiver.events.some((event) => JSON.stringify(event).includes(nonce)),
    'it is at the receiver',
  );
  assert.equal((await cli('test', 'hook', '--confirm', 'f'.repeat(32))).code, 3);
  assert.equal((await cli('test', 'hook', '--confirm', nonce)).code, 0);

  assert.equal((await cli('pause', 'hook')).view?.state, 'paused');
  for (let i = 0; i < 5; i++) await fleet.token();
  assert.equal((await cli('resume', 'hook')).code, 0);
  let shown = (await cli('show', 'hook')).view;
  while ((shown?.delivered ?? 0) < 8 || shown?.lag.entries !== 0) shown = (await cli('show', 'hook')).view;
  assert.equal(shown.test?.state, 'confirmed');

  // What was pushed is what can be pulled.
  const pulled = await fleet.client.get<PulledPage>('/v1/audit/events', { limit: 1000 });
  const pushed = new Map(
    receiver.events.flatMap((event) => (typeof event['seq'] === 'number' ? [[event['seq'], event]] : [])),
  );
  for (const { seq, raw, chain, body, id } of pulled.items.slice(0, shown.next)) {
    const event = pushed.get(seq);
    assert.deepEqual([event?.['raw'], event?.['chain'], event?.['body'], event?.['id']], [raw, chain, body, id]);
  }

  // And what is pulled is evidence.
  const feed = join(fleet.directory, 'feed.ndjson');
  for (let after = ''; ; ) {
    const lines = Buffer.from((await fleet.client.getBytes(`/v1/audit/events?format=ndjson&limit=10${after}`)) ?? []);
    await appendFile(feed, lines);
    if (lines.includes('"checkpoint"')) break;
    const last = lines.toString().trim().split('\n').at(-1) ?? '';
    if (last !== '') after = `&after=${(JSON.parse(last) as { seq: number }).seq}`;
  }
  assert.equal((await command('audit', 'verify', feed)).code, 0);

  const before = receiver.events.length;
  assert.equal((await cli('replay', 'hook', '--from', '1', '--to', '4')).code, 0);
  await receiver.until(() => receiver.events.slice(before).filter(({ seq }) => seq === 3).length > 0, t.signal);
  assert.equal(
    (await cli('update', 'hook', '--redaction', 'pseudonymous', '--exclude', 'log.*')).view?.config.redaction,
    'pseudonymous',
  );
  assert.equal((await cli('list')).code, 0);
  assert.equal((await cli('remove', 'hook')).code, 0);
  assert.equal((await cli('show', 'hook')).code, 3);
});

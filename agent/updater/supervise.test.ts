/** Real processes on trial: small programs that prove themselves, end, or do neither. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { healthyMessage, superviseTrial } from './supervise.ts';

function supervise(script: string, change: { deadlineMs?: number; stop?: AbortSignal } = {}) {
  const { deadlineMs = 30_000, stop = new AbortController().signal } = change;
  const args = ['-e', script];
  return superviseTrial({ program: process.execPath, args, environment: {}, deadlineMs, graceMs: 10_000, stop });
}

const stay = 'setInterval(() => undefined, 1000);';

test('one that says that it is healthy', async () => {
  assert.equal(await supervise(`${stay} process.send(${JSON.stringify(healthyMessage)});`), 'healthy');
});

test('one that ends, and one that can not even start', async () => {
  assert.equal(await supervise('process.exit(0);'), 'exited');
  assert.equal(await supervise('process.kill(process.pid, "SIGSEGV");'), 'exited');
  const missing = { program: '/nonexistent/holdfast-agent', args: [], environment: {} };
  const limits = { deadlineMs: 30_000, graceMs: 1000, stop: new AbortController().signal };
  assert.equal(await superviseTrial({ ...missing, ...limits }), 'exited');
});

test('one that heeds no signal, at its deadline; any other message proves nothing', async () => {
  const deaf = `process.on("SIGTERM", () => undefined); process.send("hello"); ${stay}`;
  assert.equal(await supervise(deaf, { deadlineMs: 300 }), 'deadline');
});

test('one whose launcher is asked to end', async () => {
  const stop = new AbortController();
  const running = supervise(stay, { stop: stop.signal });
  stop.abort();
  assert.equal(await running, 'stopped');
});

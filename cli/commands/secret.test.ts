/** `holdfast secret` without a server: values come from standard input alone, and slips are said before anything is sent. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runCli } from '../program.ts';
import type { Terminal } from '../terminal.ts';

function terminal(input?: string) {
  const shown = { out: '', err: '', asked: 0 };
  const fake: Terminal = {
    out: (text) => {
      shown.out += text;
    },
    err: (text) => {
      shown.err += text;
    },
    width: undefined,
    interactive: false,
    environment: { HOLDFAST_STATE: '/nonexistent' },
    stopped: () => new Promise(() => undefined),
    ...(input === undefined
      ? {}
      : {
          async secret() {
            shown.asked += 1;
            return new Uint8Array(Buffer.from(input));
          },
        }),
  };
  return { fake, shown };
}

test('R14 a value is no argument: one too many is refused, and not repeated', async () => {
  const { fake, shown } = terminal('from-stdin');
  assert.equal(await runCli(['secret', 'set', 'db/password', 'hunter2-hunter2'], fake), 2);
  assert.equal(shown.asked, 0);
  assert.doesNotMatch(shown.out + shown.err, /hunter2/);
  for (const option of ['--value=hunter2-hunter2', '--value']) {
    assert.equal(await runCli(['secret', 'set', 'db/password', option, 'hunter2-hunter2'], terminal().fake), 2);
  }
});

test('a path that is none is said before a value is asked for', async () => {
  const { fake, shown } = terminal('a value');
  assert.equal(await runCli(['secret', 'set', 'DB/Password'], fake), 2);
  assert.equal(shown.asked, 0);
});

test('an empty value sets nothing', async () => {
  const { fake, shown } = terminal('');
  assert.equal(await runCli(['secret', 'set', 'a'], fake), 2);
  assert.match(shown.err, /the value is empty/);
});

test('a newline at the end of one line is told of, and never the value', async () => {
  const { fake, shown } = terminal('s3cr3t-value\n');
  await runCli(['secret', 'set', 'a'], fake);
  assert.match(shown.err, /ends in a newline/);
  assert.doesNotMatch(shown.out + shown.err, /s3cr3t/);
  const trimmed = terminal('s3cr3t-value\n');
  await runCli(['secret', 'set', 'a', '--trim'], trimmed.fake);
  assert.doesNotMatch(trimmed.shown.err, /newline/);
});

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { formatCompletion } from './commands/completion.ts';
import { buildProgram } from './program.ts';

const program = buildProgram({
  out: () => undefined,
  err: () => undefined,
  width: undefined,
  interactive: false,
  environment: {},
  stopped: async () => undefined,
});

test('every verb and every option of the tree is in each script', () => {
  const words: string[] = [];
  const walk = (command: typeof program) => {
    for (const child of command.commands) {
      words.push(child.name(), ...child.options.flatMap((option) => option.long ?? []));
      walk(child as typeof program);
    }
  };
  walk(program);
  for (const shell of ['bash', 'zsh', 'fish'] as const) {
    const script = formatCompletion(shell, program);
    for (const word of words) assert.ok(script.includes(word.replace(/^--/, '')), `${shell} ${word}`);
  }
});

test('bash completes verbs and options', (t) => {
  if (spawnSync('bash', ['--version']).error) return t.skip('bash is not installed');
  const complete = (...typed: string[]) => {
    const script = `${formatCompletion('bash', program)}
COMP_WORDS=(holdfast ${typed.map((word) => JSON.stringify(word)).join(' ')}); COMP_CWORD=${typed.length}
_holdfast; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8' });
    assert.equal(stderr, '');
    return stdout.trim().split('\n');
  };
  assert.deepEqual(complete('no'), ['node']);
  assert.deepEqual(complete('node', 're').sort(), ['recover', 'revoke']);
  assert.deepEqual(complete('--json', 'token', 'create', '--tt'), ['--ttl']);
  return undefined;
});

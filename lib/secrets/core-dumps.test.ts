import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { keepMemoryOutOfCores } from './core-dumps.ts';

test('R14 no memory of the process is in a core of it', (t) => {
  if (!existsSync('/proc/self/coredump_filter')) return t.skip('this kernel has no coredump_filter');
  const script = `import { keepMemoryOutOfCores } from ${JSON.stringify(new URL('./core-dumps.ts', import.meta.url).href)};
    import { readFileSync } from 'node:fs';
    console.log(keepMemoryOutOfCores(), readFileSync('/proc/self/coredump_filter', 'utf8').trim());`;
  const out = execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  assert.equal(out.trim(), 'true 00000000');
});

test('a kernel without the file is said to be one', () => {
  assert.equal(keepMemoryOutOfCores('/nonexistent/coredump_filter'), false);
});

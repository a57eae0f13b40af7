/** A build of server and agent in a directory of its own, for tests that change it. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { developmentBuild, sharedCache } from '../../build/develop.ts';

export async function ownBuild(t: TestContext): Promise<{ readonly base: string; readonly build: string }> {
  const base = mkdtempSync(join(tmpdir(), 'holdfast-hardening-'));
  t.after(() => rmSync(base, { recursive: true, force: true }));
  const build = join(base, 'build');
  cpSync(await developmentBuild(sharedCache, Date.now()), build, { recursive: true });
  return { base, build };
}

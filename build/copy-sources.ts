/** The sources at another path, for a second build of them. */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { sourceRoot } from './programs.ts';

/** Packages as hard links where the system can: they are read and nothing else. */
export function copySources(target: string): void {
  for (const name of [
    'agent',
    'build',
    'cli',
    'console',
    'functions',
    'gate',
    'lib',
    'package.json',
    'package-lock.json',
  ]) {
    const source = join(sourceRoot, name);
    if (existsSync(source)) cpSync(source, join(target, name), { recursive: true });
  }
  const linked = spawnSync('cp', ['-al', join(sourceRoot, 'node_modules'), join(target, 'node_modules')]);
  if (linked.status !== 0) cpSync(join(sourceRoot, 'node_modules'), join(target, 'node_modules'), { recursive: true });
}

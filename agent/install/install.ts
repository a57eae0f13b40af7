/**
 * `holdfast-agent install` and `uninstall`: the one file into its place, with its manifest, its unit and a link on the
 * PATH. What is as it should be is not touched, so a second run does nothing; a dry run says what the first would do.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { lstat, mkdir, readFile, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AgentError } from '../errors.ts';
import { commands, type InitSystem, program, type Unit, units } from './units.ts';

export type InstallRequest = {
  /** Of the program that runs; its manifest lies beside it. */
  readonly executable: string;
  readonly init: InitSystem;
  /** Files go below this instead of `/`, and no command is run: for making images and packages. */
  readonly destination?: string;
  readonly dryRun: boolean;
  readonly isRoot: boolean;
  run(argv: readonly string[]): Promise<void>;
  say(line: string): void;
};

type Wanted =
  | { readonly kind: 'file'; readonly path: string; readonly mode: number; readonly bytes: Uint8Array }
  | { readonly kind: 'link'; readonly path: string; readonly to: string };

const linkPath = '/usr/local/bin/holdfast-agent';

/** Whether anything was changed, or would be. Throws `AgentError` `usage`. */
export async function install(request: InstallRequest): Promise<boolean> {
  requireRoot(request);
  const { executable, init, dryRun, destination, say } = request;
  const manifest = await readFile(`${executable}.manifest`).catch(() => undefined);
  if (manifest === undefined) {
    throw new AgentError('usage', `there is no signed manifest beside ${JSON.stringify(executable)}`, {
      hint: `put it there: ${executable}.manifest`,
    });
  }
  // All is read before anything is written: what runs may lie where it goes.
  const wanted: readonly Wanted[] = [
    { kind: 'file', path: program, mode: 0o755, bytes: await readFile(executable) },
    { kind: 'file', path: `${program}.manifest`, mode: 0o644, bytes: manifest },
    fileOf(units[init]),
    { kind: 'link', path: linkPath, to: program },
  ];
  let hasChanged = false;
  for (const each of wanted) {
    if (await isThere(below(destination, each.path), each)) continue;
    hasChanged = true;
    say(`${dryRun ? 'would write' : 'writes'} ${each.path}`);
    if (!dryRun) await put(below(destination, each.path), each);
  }
  if (hasChanged) await runAll(request, commands[init].enable);
  if (!hasChanged) say('all is in place already');
  return hasChanged;
}

/** The state directory stays, unless `purge`: it is who this node is. */
export async function uninstall(request: InstallRequest & { readonly purge?: string }): Promise<boolean> {
  requireRoot(request);
  const { init, dryRun, destination, purge, say } = request;
  const paths = [units[init].path, linkPath, dirname(program), ...(purge === undefined ? [] : [purge])];
  const present: string[] = [];
  for (const path of paths) if ((await lstat(below(destination, path)).catch(absent)) !== undefined) present.push(path);
  if (present.length === 0) {
    say('nothing is installed');
    return false;
  }
  if (present.includes(units[init].path)) await runAll(request, commands[init].disable);
  for (const path of present) {
    say(`${dryRun ? 'would remove' : 'removes'} ${path}`);
    if (!dryRun) await rm(below(destination, path), { recursive: true, force: true });
  }
  if (init === 'systemd') await runAll(request, [['systemctl', 'daemon-reload']]);
  return true;
}

/** By what only that kind of machine has. */
export function detectInit(has: (path: string) => boolean = existsSync): InitSystem {
  if (has('/run/systemd/system')) return 'systemd';
  if (has('/sbin/openrc-run')) return 'openrc';
  if (has('/bin/launchctl')) return 'launchd';
  throw new AgentError('usage', 'this machine has neither systemd, nor OpenRC, nor launchd', {
    hint: 'name the one it should be made for with --init, or start `holdfast-agent service` by what there is',
  });
}

function requireRoot({ isRoot, destination, dryRun }: InstallRequest): void {
  if (isRoot || destination !== undefined || dryRun) return;
  throw new AgentError('usage', 'only root can do that', { hint: 'use sudo, or look first with --dry-run' });
}

async function runAll(request: InstallRequest, all: readonly (readonly string[])[]): Promise<void> {
  if (request.destination !== undefined) return;
  for (const argv of all) {
    request.say(`${request.dryRun ? 'would run' : 'runs'} ${argv.join(' ')}`);
    if (!request.dryRun) await request.run(argv);
  }
}

async function isThere(path: string, wanted: Wanted): Promise<boolean> {
  const status = await lstat(path).catch(absent);
  if (status === undefined) return false;
  if (wanted.kind === 'link') return status.isSymbolicLink() && (await readlink(path)) === wanted.to;
  if (!status.isFile() || (status.mode & 0o7777) !== wanted.mode || status.size !== wanted.bytes.length) return false;
  return digest(await readFile(path)) === digest(wanted.bytes);
}

/** Whole or not at all: a running program is never written into. */
async function put(path: string, wanted: Wanted): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  const draft = `${path}.new`;
  await rm(draft, { force: true });
  if (wanted.kind === 'link') await symlink(wanted.to, draft);
  else await writeFile(draft, wanted.bytes, { mode: wanted.mode, flag: 'wx', flush: true });
  await rename(draft, path);
}

function fileOf({ path, mode, text }: Unit): Wanted {
  return { kind: 'file', path, mode, bytes: new TextEncoder().encode(text) };
}

function below(destination: string | undefined, path: string): string {
  return destination === undefined ? path : join(destination, path);
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
  throw error;
}

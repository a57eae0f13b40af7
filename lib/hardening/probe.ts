/** One look at this process, through proc(5) where there is one. What can't be read is not found: a warning, not a wall. */
import { lstatSync, readFileSync, readlinkSync, type Stats, statSync } from 'node:fs';
import { url as inspectorUrl } from 'node:inspector';
import { join } from 'node:path';
import { sha256Hex } from '../crypto/digest.ts';
import type { VerifiedProgram } from '../crypto/program.ts';
import { type Finding, finding } from './finding.ts';
import { codeOptions, preloads, tracerPid, unexpectedMappings } from './judge.ts';

/** Looks now. Made at the start, so that what the disk holds then is what later looks compare with. */
export type Probe = () => readonly Finding[];

export function createProbe(program: VerifiedProgram | undefined, env: NodeJS.ProcessEnv = process.env): Probe {
  const files = createFileWatch(program);
  return () => {
    const preloaded = preloads(env, text('/etc/ld.so.preload'));
    return [
      ...tracers(),
      ...(inspectorUrl() === undefined ? [] : [finding('inspector', 'listens')]),
      ...codeOptions(process.execArgv, env, program?.removed ?? []),
      ...preloaded,
      ...unexpectedMappings(text('/proc/self/maps'), {
        executable: link('/proc/self/exe').replace(/ \(deleted\)$/, ''),
        inodes: new Set((program?.mapped ?? []).map((each) => each.split(':')[1] ?? '')),
        preloaded: preloaded.map(({ what }) => what),
      }),
      ...replacedExecutable(),
      ...files(),
    ];
  };
}

function tracers(): Finding[] {
  const pid = tracerPid(text('/proc/self/status'));
  if (pid === 0) return [];
  return [finding('tracer', text(`/proc/${pid}/comm`).trim() || 'unknown')];
}

/** The kernel keeps the running file as it was: on the disk, its name may have come to mean another. */
function replacedExecutable(): Finding[] {
  const running = stat(() => statSync('/proc/self/exe'));
  if (running === undefined) return [];
  const onDisk = stat(() => statSync(process.execPath));
  const isSame = onDisk !== undefined && onDisk.dev === running.dev && onDisk.ino === running.ino;
  return isSame ? [] : [finding('binary', process.execPath)];
}

/** What was loaded stays in memory: a changed file says that the next start would be of something else. */
function createFileWatch(program: VerifiedProgram | undefined): () => Finding[] {
  if (program === undefined) return () => [];
  const { directory } = program;
  const known = new Map([...program.files].map(([path]) => [path, stat(() => lstatSync(join(directory, path)))]));
  return () => {
    const changed = [...program.files].find(([path, bytes]) => {
      const now = stat(() => lstatSync(join(directory, path)));
      const before = known.get(path);
      if (now !== undefined && before !== undefined && now.ctimeMs === before.ctimeMs && now.ino === before.ino) {
        return false;
      }
      try {
        const isSame = now?.isFile() === true && sha256Hex(readFileSync(join(directory, path))) === sha256Hex(bytes);
        if (isSame) known.set(path, now);
        return !isSame;
      } catch {
        return true;
      }
    });
    return changed === undefined ? [] : [finding('binary', join(directory, changed[0]))];
  };
}

function text(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return process.execPath;
  }
}

function stat(read: () => Stats): Stats | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

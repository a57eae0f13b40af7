/** What the system says of a process, judged: pure functions over the texts of proc(5) and the environment. */
import { basename } from 'node:path';
import { type Finding, finding } from './finding.ts';

/** `TracerPid` of /proc/self/status: 0 when nobody traces. */
export function tracerPid(status: string): number {
  return Number(/^TracerPid:\s*([0-9]+)$/m.exec(status)?.[1] ?? 0);
}

/** Files that the dynamic linker was told to load first, by ld.so(8): variables, and /etc/ld.so.preload. */
export function preloads(env: NodeJS.ProcessEnv, preloadFile: string): Finding[] {
  const fromVariables = (['LD_PRELOAD', 'LD_AUDIT', 'DYLD_INSERT_LIBRARIES'] as const).flatMap((name) =>
    listed(env[name] ?? '').map((path) => finding('preload', `${name}=${path}`)),
  );
  const lines = preloadFile.replace(/#.*$/gm, '');
  return [...fromVariables, ...listed(lines).map((path) => finding('preload', `ld.so.preload: ${path}`))];
}

function listed(text: string): string[] {
  return text.split(/[\s:]+/).filter((path) => path !== '');
}

/** Options and variables that carry code. The gate removed its own; a program without one reads them as they are. */
export function codeOptions(
  execArgv: readonly string[],
  env: NodeJS.ProcessEnv,
  removed: readonly string[],
): Finding[] {
  const pattern = /^(-r|--require|--import|--loader|--experimental-loader|--inspect.*)$/;
  const options = execArgv.map((option) => option.replace(/=.*/s, '')).filter((option) => pattern.test(option));
  const variables = ['NODE_OPTIONS'].filter((name) => (env[name] ?? '') !== '');
  return [...new Set([...removed, ...options, ...variables])].map((name) => finding('options', name));
}

export type Expected = {
  /** The running executable. */
  readonly executable: string;
  /** Inodes of what the gate mapped from verified bytes. */
  readonly inodes: ReadonlySet<string>;
  /** Paths that are findings of their own already. */
  readonly preloaded: readonly string[];
};

/** Where a system keeps its libraries; what is there is root's, like the kernel. */
const systemLibraries = /^(\/usr)?\/(lib|lib32|lib64|libx32)\/|^\/nix\/store\/|^\/System\//;

/**
 * Executable mappings of /proc/self/maps with a file that is not expected. Mappings without a file are V8's own: a
 * just-in-time compiler can't be told from other code that way.
 */
export function unexpectedMappings(maps: string, expected: Expected): Finding[] {
  const found = new Set<string>();
  for (const line of maps.split('\n')) {
    const match = /^[0-9a-f]+-[0-9a-f]+ ..x. [0-9a-f]+ [0-9a-f]+:[0-9a-f]+ ([0-9]+)\s+(\/.*)$/.exec(line);
    if (match === null) continue;
    const [, inode = '', shown = ''] = match;
    const path = shown.replace(/ \(deleted\)$/, '');
    if (path === expected.executable || systemLibraries.test(path) || expected.inodes.has(inode)) continue;
    if (expected.preloaded.some((each) => basename(each) === basename(path))) continue;
    found.add(path);
  }
  return [...found].map((path) => finding('mapping', path));
}

/**
 * What puts code into a Node process before the first line of the loader: options and variables. The loader has itself
 * executed again without them, and the detection records that they were there. Nothing here trusts the outcome: when
 * they are still there, it refuses.
 */
import { GateError } from './refusal.ts';

/** Keeps SIGUSR1 from opening a debugger's port (Node 24 CLI documentation, `--disable-sigusr1`). */
export const requiredOption = '--disable-sigusr1';

/** Sizes of heaps are the operator's business, and no code. */
const harmlessOptions = [/^--disable-sigusr1$/, /^--max-(old-space|semi-space)-size=[0-9]+$/];

/** Code, a debugger, secrets in traces, or unverified TLS; of Node and of its OpenSSL. */
const removedVariables = [
  'NODE_OPTIONS',
  'NODE_PATH',
  'NODE_COMPILE_CACHE',
  'NODE_V8_COVERAGE',
  'NODE_DEBUG',
  'NODE_DEBUG_NATIVE',
  'NODE_REPL_EXTERNAL_MODULE',
  'NODE_ICU_DATA',
  'NODE_PRESERVE_SYMLINKS',
  'NODE_PRESERVE_SYMLINKS_MAIN',
  'NODE_REDIRECT_WARNINGS',
  'NODE_TLS_REJECT_UNAUTHORIZED',
  'OPENSSL_CONF',
  'OPENSSL_MODULES',
  'OPENSSL_ENGINES',
];

/** From the first process to the second, for the audit log alone: setting it admits nothing. */
const marker = 'HOLDFAST_GATE_REMOVED';

export interface Surroundings {
  readonly execPath: string;
  readonly execArgv: readonly string[];
  /** The loader and its arguments. */
  readonly argv: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Replaces this process; returns only where the platform can't. */
  readonly execute: ((file: string, args: readonly string[], env: NodeJS.ProcessEnv) => void) | undefined;
}

/** Returns the names of what was there and is not any more. Throws `GateError` `surroundings`. */
export function cleanSurroundings({ execPath, execArgv, argv, env, execute }: Surroundings): readonly string[] {
  const before = (env[marker] ?? '').split(',').filter((name) => /^[A-Za-z0-9_-]{1,64}$/.test(name));
  const again = env[marker] !== undefined;
  delete env[marker];
  const kept = execArgv.filter((option) => harmlessOptions.some((pattern) => pattern.test(option)));
  const options = execArgv.filter((option) => !kept.includes(option));
  const variables = removedVariables.filter((name) => env[name] !== undefined);
  if (options.length === 0 && variables.length === 0 && kept.includes(requiredOption)) return before;
  const removed = [...variables, ...options.map((option) => option.replace(/[= ].*/s, ''))];
  const named = removed.join(', ') || `no ${requiredOption}`;
  if (again) throw new GateError('surroundings', `the process can't be rid of what puts code into it: ${named}`);
  const rest: NodeJS.ProcessEnv = {
    ...env,
    [marker]: removed.filter((name) => /^[A-Za-z0-9_-]{1,64}$/.test(name)).join(','),
  };
  for (const name of variables) delete rest[name];
  execute?.(execPath, [execPath, requiredOption, ...kept.filter((option) => option !== requiredOption), ...argv], rest);
  throw new GateError('surroundings', `the process was started with what puts code into it: ${named}`);
}

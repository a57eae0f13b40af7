/**
 * Configuration of an embedded control plane: where it listens and under which names. There is nothing in it that could
 * weaken authentication, signatures, TLS or the audit log, because no such setting exists.
 */
import { isIP } from 'node:net';
import { z } from 'zod';
import { authConfig, initialAuth } from './auth-config.ts';
import { StandaloneError } from './errors.ts';
import { readWhole, writeWhole } from './files.ts';

const port = z.int().min(0).max(65_535);
const name = z
  .string()
  .max(253)
  .regex(/^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$|^[0-9a-f:.]{2,45}$/, 'must be a host name in lower case or an IP address');

/** The closed schema: a test walks it, so that a new key is looked at before it ships. */
export const configShape = z.strictObject({
  v: z.literal(1),
  /** The address to bind, as `127.0.0.1` or `0.0.0.0`. */
  listen: z.string().refine((text) => isIP(text) !== 0, 'must be an IP address'),
  /** Names and addresses by which nodes reach this host; the first one is put into join commands. */
  names: z.array(name).max(16),
  /** 0: the system chooses at the next start, and the choice is kept here. */
  ports: z.strictObject({ api: port, gateway: port }),
  auth: authConfig,
  secrets: z
    .strictObject({
      /** Whether a value may be shown to one administrator when another one agrees. */
      reveal: z.enum(['never', 'two-administrators']).default('never'),
    })
    .optional(),
  /** Where checkpoints of the audit log go besides the state directory. */
  log: z
    .strictObject({
      /** Directories that this process can add to and, best, not take from. */
      anchors: z.array(z.string().startsWith('/').max(4096)).max(8).default([]),
      /** A policy file (C2SP tlog-policy) with the URLs of witnesses. */
      witnesses: z.string().startsWith('/').max(4096).optional(),
    })
    .optional(),
});

export type StandaloneConfig = z.infer<typeof configShape>;

const initial: StandaloneConfig = {
  v: 1,
  listen: '127.0.0.1',
  names: [],
  ports: { api: 0, gateway: 0 },
  auth: initialAuth,
};

/** Reads config.json, or gives the configuration of a first start. Unknown keys are errors. */
export async function readConfig(path: string): Promise<StandaloneConfig> {
  const bytes = await readWhole(path);
  return bytes === undefined ? initial : parseConfig(bytes, path);
}

/** Throws `StandaloneError` `bad_config` with the place. */
export function parseConfig(bytes: Uint8Array, path: string): StandaloneConfig {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw bad(path, 'not JSON', error);
  }
  const parsed = configShape.safeParse(value);
  if (parsed.success) return Object.freeze(parsed.data);
  const issue = parsed.error.issues[0];
  throw bad(path, `${issue?.path.map((part) => `${String(part)}: `).join('') ?? ''}${issue?.message}`, parsed.error);
}

export async function writeConfig(path: string, config: StandaloneConfig): Promise<void> {
  await writeWhole(path, `${JSON.stringify(configShape.parse(config), undefined, 2)}\n`);
}

/** What the command line gives wins over the file, and is kept. Judged like the file. */
export function withOverrides(
  config: StandaloneConfig,
  given: { readonly listen?: string | undefined; readonly names?: readonly string[] | undefined },
  path: string,
): StandaloneConfig {
  const { listen, names } = given;
  const merged = { ...config, ...(listen === undefined ? {} : { listen }), ...(names?.length ? { names } : {}) };
  return parseConfig(new TextEncoder().encode(JSON.stringify(merged)), path);
}

function bad(path: string, problem: string, cause: unknown): StandaloneError {
  return new StandaloneError('bad_config', `${path}: ${problem}`, {
    hint: problem.startsWith('auth')
      ? 'say how people log in: "auth": {"method": "isowebauth"}, or "basic", or "oidc" (see docs/access.md)'
      : 'correct it, or remove the file: ports are then chosen anew',
    cause,
  });
}

/** A control plane with a chosen log-in method, and the real command line against it, in this process. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCli } from '../../cli/program.ts';
import type { AuthConfig } from '../../functions/standalone/auth-config.ts';
import { type Standalone, startStandalone } from '../../functions/standalone/compose.ts';
import { generateEd25519 } from '../../lib/crypto/ed25519.ts';
import { formatSshPrivateKey, formatSshPublicKey, sshPublicKeyOf } from '../../lib/crypto/ssh-key.ts';
import { quiet } from './fleet.ts';

export type Ran = { readonly code: number; readonly out: string; readonly err: string };

export type AccessFleet = {
  readonly directory: string;
  readonly state: string;
  readonly config: string;
  readonly server: Standalone;
  /** As whoever is logged in. `typed` is what comes from standard input; `onMessage` sees messages as they come. */
  cli(
    args: readonly string[],
    options?: {
      readonly typed?: string;
      readonly onMessage?: (text: string) => void;
      readonly pause?: (ms: number) => Promise<void>;
    },
  ): Promise<Ran>;
  /** As local-admin. */
  admin(...args: readonly string[]): Promise<Ran>;
  /** A new SSH key pair as files; the private one's path. */
  key(name: string): Promise<string>;
};

/** `t` takes it down; `port` of the API, any unless given; `more` of the configuration. */
export async function startAccessFleet(
  t: { after(step: () => unknown): void },
  auth: AuthConfig | undefined,
  port = 0,
  more: object = {},
): Promise<AccessFleet> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-access-'));
  const state = join(directory, 'state');
  const config = join(directory, 'config');
  const key = async (name: string) => {
    const { privateKey, publicKey } = generateEd25519();
    const path = join(directory, name);
    await writeFile(path, formatSshPrivateKey({ privateKey }), { mode: 0o600 });
    await writeFile(`${path}.pub`, `${formatSshPublicKey(sshPublicKeyOf(publicKey))}\n`);
    return path;
  };
  await mkdir(state, { mode: 0o700 });
  if (auth !== undefined)
    await writeFile(
      join(state, 'config.json'),
      JSON.stringify({ v: 1, listen: '127.0.0.1', names: [], ports: { api: port, gateway: 0 }, auth, ...more }),
    );
  const { publicKey } = generateEd25519();
  const server = await startStandalone({
    stateDirectory: state,
    version: '0.0.0',
    logger: quiet,
    founding: { name: 'test', operatorKeys: [formatSshPublicKey(sshPublicKeyOf(publicKey))], threshold: 1 },
  });
  t.after(async () => {
    try {
      await server.close();
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
  const cli: AccessFleet['cli'] = async (args, { typed = '', onMessage, pause } = {}) => {
    const ran = { out: '', err: '' };
    const code = await runCli(args, {
      out: (text) => {
        ran.out += text;
      },
      err: (text) => {
        ran.err += text;
        onMessage?.(text);
      },
      width: undefined,
      interactive: false,
      secret: async () => Buffer.from(typed),
      environment: {},
      configDirectory: config,
      ...(pause === undefined ? {} : { pause }),
      stopped: () => new Promise(() => undefined),
    });
    return { code, ...ran };
  };
  return { directory, state, config, server, key, cli, admin: (...args) => cli(['--state', state, ...args]) };
}

/** A whole fleet for end-to-end tests: control plane, operator and agents in this process, on loopback, in a temporary directory. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import type { TestContext } from 'node:test';
import { pino } from 'pino';
import { type Agent, openAgent } from '../../agent/compose.ts';
import { runDaemon } from '../../agent/daemon.ts';
import type { ResourceOutcome } from '../../agent/engine.ts';
import { join } from '../../agent/join.ts';
import { type OnceResult, runOnce } from '../../agent/run-once.ts';
import { type Client, openClient } from '../../cli/client.ts';
import { readOwn } from '../../cli/fleet.ts';
import { buildNext, uploadBlobs } from '../../cli/release.ts';
import { signWithKeys } from '../../cli/sign.ts';
import type { PublishedView } from '../../functions/admin/routes/releases.ts';
import type { MintedToken } from '../../functions/admin/routes/tokens.ts';
import { type Standalone, startStandalone } from '../../functions/standalone/compose.ts';
import { generateEd25519 } from '../../lib/crypto/ed25519.ts';
import { formatSshPrivateKey, formatSshPublicKey, sshPublicKeyOf } from '../../lib/crypto/ssh-key.ts';

export const quiet = pino({ level: 'silent' });

export type TestFleet = {
  readonly directory: string;
  readonly state: string;
  readonly server: Standalone;
  readonly client: Client;
  /** The operator's private key file. */
  readonly keyFile: string;
  /** Where nodes' files go. */
  readonly root: string;
  /** Signs and publishes a crate of these resources (YAML, indented by two) for nodes with the label role=test. */
  publish(resources: string): Promise<PublishedView>;
  token(): Promise<MintedToken>;
  /** Joins a new node whose state is in a directory of that name. */
  join(name: string): Promise<{ readonly uuid: string; readonly state: string; readonly agent: Agent }>;
};

/** Starts a founded control plane, with this config.json if one is given. Everything is taken down after the test. */
export async function startFleet(t: TestContext, config?: object): Promise<TestFleet> {
  const directory = await mkdtemp(joinPath(tmpdir(), 'holdfast-e2e-'));
  const keyFile = joinPath(directory, 'operator');
  const { privateKey, publicKey } = generateEd25519();
  await writeFile(keyFile, formatSshPrivateKey({ privateKey }), { mode: 0o600 });
  const state = joinPath(directory, 'state');
  if (config !== undefined) {
    await mkdir(state, { mode: 0o700 });
    await writeFile(joinPath(state, 'config.json'), JSON.stringify(config), { mode: 0o600 });
  }
  const server = await startStandalone({
    stateDirectory: state,
    version: '0.0.0',
    logger: quiet,
    founding: { name: 'test', operatorKeys: [formatSshPublicKey(sshPublicKeyOf(publicKey))], threshold: 1 },
  });
  const client = await openClient(state);
  // One hook, because hooks run in the order in which they were added.
  t.after(async () => {
    client.close();
    await server.close();
    await rm(directory, { recursive: true, force: true });
  });
  const own = await readOwn(server.paths.operatorFleet);
  const policy = joinPath(directory, 'policy');
  const root = joinPath(directory, 'root');
  await mkdir(root);
  await mkdir(joinPath(policy, 'crates'), { recursive: true });

  const token = () => client.post<MintedToken>('/v1/tokens', { labels: { role: 'test' } });
  return {
    directory,
    state,
    server,
    client,
    keyFile,
    root,
    token,
    async publish(resources) {
      const bindings = 'bindings:\n  - match: { labels: { role: test } }\n    crates: [base]\n';
      await writeFile(joinPath(policy, 'holdfast.yaml'), bindings);
      await writeFile(joinPath(policy, 'crates', 'base.yaml'), `crate: base\nresources:\n${resources}`);
      const built = await buildNext(client, own, policy);
      await uploadBlobs(client, built.blobs);
      return client.post<PublishedView>('/v1/releases', {
        manifest: Buffer.from(built.manifest).toString('base64url'),
        signatures: await signWithKeys(built.manifest, [keyFile]),
      });
    },
    async join(name) {
      const stateDirectory = joinPath(directory, name);
      const minted = await token();
      const { node } = await join({
        server: server.url,
        token: minted.token,
        stateDir: stateDirectory,
        hostname: name,
        version: '0.0.0',
        now: Date.now,
      });
      const agent = await openAgent({ stateDirectory, agentVersion: '0.0.0', logger: quiet });
      return { uuid: node.uuid, state: stateDirectory, agent };
    },
  };
}

/**
 * Runs the agent's daemon until the test ends. No time wakes it, be it for a check-in or for a run: only what its
 * gateway tells it does. `onRun` gets what came of each resource, by its reference.
 */
export function runUntimed(
  t: TestContext,
  agent: Agent,
  onRun: (results: { readonly [resource: string]: string }) => void = () => undefined,
): void {
  const stop = new AbortController();
  const daemon = runDaemon(
    {
      ...agent,
      async converge(run) {
        const done = await agent.converge({ dryRun: false, ...run });
        onRun(Object.fromEntries(done.outcomes.map(({ resource, result }) => [resource, result])));
        return done;
      },
      sleep: (_ms, signal) =>
        new Promise((resolve) => {
          if (signal.aborted) resolve();
          else signal.addEventListener('abort', () => resolve(), { once: true });
        }),
      random: () => 0.5,
    },
    { stop: stop.signal, convergeIntervalMs: 24 * 3_600_000 },
  );
  t.after(async () => {
    stop.abort();
    await daemon;
  });
}

/** One visit and one run; what came of each resource, by its reference. */
export async function converge(
  agent: Agent,
): Promise<{ readonly once: OnceResult; readonly results: { readonly [resource: string]: string } }> {
  const outcomes: ResourceOutcome[] = [];
  const once = await runOnce(agent, {
    dryRun: false,
    stop: new AbortController().signal,
    onOutcome: (outcome) => outcomes.push(outcome),
  });
  return { once, results: Object.fromEntries(outcomes.map(({ resource, result }) => [resource, result])) };
}

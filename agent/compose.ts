/**
 * The agent put together: its state directory, host, executors, guards and clock. Only here do domains and adapters
 * meet.
 */
import { randomUUID } from 'node:crypto';
import { realpath } from 'node:fs/promises';
import type { Logger } from 'pino';
import { fromBase64url, fromUtf8 } from '../lib/crypto/encoding.ts';
import { pemDecode } from '../lib/crypto/x509.ts';
import { type FleetDescriptor, parseDescriptor } from '../lib/identity/descriptor.ts';
import { checkoutTrees } from './checkout.ts';
import type { ControlPlaneDeps } from './control-plane.ts';
import { type ConvergeOptions, converge, type Run } from './converge.ts';
import { AgentError, messageOf } from './errors.ts';
import { executors } from './executors/registry.ts';
import { localMachine } from './facts/machine.ts';
import { collectFacts } from './facts.ts';
import { createFactsSource } from './facts-source.ts';
import { allOf, protectTrees, systemTrees } from './guard.ts';
import { type HeldRelease, openHeldRelease } from './held-release.ts';
import { createLocalHost, type LocalHostOptions } from './local-host.ts';
import { withLock } from './lock.ts';
import { createLogWitness } from './log-witness.ts';
import { readIdentityKey, readSealingKey } from './node-keys.ts';
import { openNotifications } from './notifications.ts';
import { openReportQueue } from './queue.ts';
import { createRedaction, type Redaction } from './redaction.ts';
import { renewIfDue, renewNow } from './renew.ts';
import { protectByRules } from './rules-guard.ts';
import { newSecretMemory } from './secrets-of-run.ts';
import { openSession, type Session, type SessionPush } from './session.ts';
import { type NodeFile, openStateDirectory, readNode, readRequired, type StateDirectory, stateFiles } from './state.ts';

export type Agent = ControlPlaneDeps & {
  readonly state: StateDirectory;
  readonly node: NodeFile;
  readonly fleet: FleetDescriptor;
  /** One run of what is held, under the lock. Throws `busy`. */
  converge(options: ConvergeOptions): Promise<Run>;
  connect(onPush: (push: SessionPush) => void): Promise<Session>;
  renew(): Promise<'renewed' | 'refused' | 'unreachable'>;
};

export type AgentOptions = {
  readonly stateDirectory: string;
  readonly agentVersion: string;
  readonly logger: Logger;
  /** The one that the logger passes through; one of its own when left out. */
  readonly redaction?: Redaction;
  /** What this program consists of: no policy may touch it. */
  readonly programTrees?: readonly string[];
  /** Another machine than this one, as tests have it. */
  readonly machine?: Pick<LocalHostOptions, 'root' | 'environment' | 'platform'>;
};

/** Opens the agent of a joined node. Throws `not_joined`, `loose_permissions` or `bad_state`. */
export async function openAgent(options: AgentOptions): Promise<Agent> {
  const { logger, agentVersion, redaction = createRedaction() } = options;
  const state = await openStateDirectory(options.stateDirectory);
  const node = await readNode(state);
  const fleet = await readFleet(state);
  const held = locked(openHeldRelease(state, fleet, node), state.path);
  const queue = await openReportQueue(state, { logger });
  const now = Date.now;
  const deadline = (timeoutMs: number) => AbortSignal.timeout(timeoutMs);
  const facts = createFactsSource({
    now,
    collect: () =>
      collectFacts({
        machine: localMachine(),
        deadline,
        onMissing: (group, reason) => logger.warn({ group, reason }, 'Facts are missing.'),
      }),
  });
  const memory = newSecretMemory();
  let session: Session | undefined;
  const secrets = {
    uuid: node.uuid,
    session: () => session,
    sealingKey: () => readSealingKey(state),
    redaction,
    memory,
  };
  const trees = protectTrees([...systemTrees, await realpath(state.path), ...(options.programTrees ?? checkoutTrees)]);
  const guard = allOf(trees, protectByRules());

  return {
    state,
    node,
    fleet,
    held,
    queue,
    facts,
    agentVersion,
    logger,
    now,
    runId: randomUUID,
    log: createLogWitness({
      ...{ state, logger, now, runId: randomUUID },
      log: fleet.log,
      report: (report) => queue.add(report),
    }),
    secrets: {
      epoch: () => memory.epoch,
      announce(epoch) {
        memory.announced = epoch;
      },
    },
    converge: (run) =>
      withLock(state.path, async () => {
        const notifications = await openNotifications(state);
        const host = createLocalHost({ ...options.machine, redaction });
        const machine = { executors, host, guard, notifications, now, deadline };
        const known = async () => (await facts.latest()).facts;
        return converge({ ...machine, node, held, runId: randomUUID, facts: known, secrets }, run);
      }),
    async connect(onPush) {
      const opened = await connect(state, fleet, logger, onPush);
      session = opened;
      void opened.ended.then(() => {
        if (session === opened) {
          session = undefined;
        }
      });
      return opened;
    },
    async renew() {
      try {
        await renewNow(state, now);
        return 'renewed';
      } catch (error) {
        logger.warn({ reason: messageOf(error) }, 'The certificate could not be renewed.');
        return error instanceof AgentError && error.code === 'refused' ? 'refused' : 'unreachable';
      }
    },
  };
}

/** Throws `SessionError`, or `AgentError` when the state directory is damaged. */
async function connect(
  state: StateDirectory,
  fleet: FleetDescriptor,
  logger: Logger,
  onPush: (push: SessionPush) => void,
): Promise<Session> {
  try {
    const { renewed } = await renewIfDue(state, Date.now);
    if (renewed) {
      logger.info('The certificate was renewed.');
    }
  } catch (error) {
    // The one at hand may still be good; if not, the gateway says so.
    logger.warn({ reason: messageOf(error) }, 'The certificate is due for renewal, and could not be renewed.');
  }
  // Read anew: a renewal may have named another gateway.
  const node = await readNode(state);
  return openSession({
    gateway: node.gateway,
    fleet: fleet.fleet,
    identity: { uuid: node.uuid, privateKey: await readIdentityKey(state) },
    tls: {
      keyPem: fromUtf8(await readRequired(state, stateFiles.tlsKey)),
      certDer: pemDecode('CERTIFICATE', fromUtf8(await readRequired(state, stateFiles.tlsCertificate))),
      authorityDer: fromBase64url(fleet.ca),
    },
    onPush,
  });
}

async function readFleet(state: StateDirectory): Promise<FleetDescriptor> {
  try {
    return parseDescriptor(await readRequired(state, stateFiles.fleet));
  } catch (error) {
    if (error instanceof AgentError) {
      throw error;
    }
    throw new AgentError('bad_state', `${stateFiles.fleet} of the state directory is damaged: ${messageOf(error)}`, {
      hint: 'restore the state directory from a backup, or revoke this node and join again with an empty one',
      cause: error,
    });
  }
}

/** No release changes while a run reads it. */
function locked(held: HeldRelease, directory: string): HeldRelease {
  return { ...held, adopt: (fetched, options) => withLock(directory, () => held.adopt(fetched, options)) };
}

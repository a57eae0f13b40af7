/** Carries the checkpoints of an embedded control plane to the anchors and witnesses that its configuration names. */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { openAnchorDirectory } from '../../lib/audit/anchor-directory.ts';
import { createDistributor } from '../../lib/audit/distribute.ts';
import { AuditError } from '../../lib/audit/port.ts';
import type { Publication } from '../../lib/audit/publication.ts';
import { createWitnessClient, postOverHttp } from '../../lib/audit/witness-client.ts';
import { parsePolicy } from '../../lib/audit/witness-policy.ts';
import { parseVerifierKey } from '../../lib/crypto/note.ts';
import type { FleetDescriptor } from '../../lib/identity/descriptor.ts';
import type { StandaloneConfig } from './config.ts';
import { StandaloneError } from './errors.ts';

export type DistributionDeps = {
  readonly config: StandaloneConfig['log'];
  readonly log: FleetDescriptor['log'];
  readonly publication: Publication;
  readonly logger: Logger;
};

/** Returns what ends it. Throws `StandaloneError` `bad_config` for an anchor or a policy that can't be used. */
export async function startDistribution({ config, log, publication, logger }: DistributionDeps) {
  if (config === undefined) return async () => undefined;
  const verifiers = [parseVerifierKey(log.key)];
  const { origin } = log;
  const policy = config.witnesses === undefined ? undefined : await readPolicy(config.witnesses);
  const client = createWitnessClient({ source: publication, origin, verifiers, post: postOverHttp });
  const distributor = createDistributor({
    ...{ publication, origin, verifiers, logger },
    anchors: await Promise.all(config.anchors.map(openAnchor)),
    ...(policy && { witnesses: { policy, client } }),
    delay: async (ms, signal) => sleep(ms, undefined, { ref: false, signal }),
  });
  const stop = new AbortController();
  const running = distributor.run(stop.signal);
  return async () => {
    stop.abort();
    await running;
    // The last checkpoint of this process is the one that an anchor must not miss.
    await distributor.distribute();
  };
}

async function openAnchor(directory: string) {
  return openAnchorDirectory(directory).catch((cause: unknown) => {
    throw bad(`the anchor ${directory} can't be used`, cause);
  });
}

async function readPolicy(path: string) {
  try {
    return parsePolicy(await readFile(path, 'utf8'));
  } catch (cause) {
    const reason = cause instanceof AuditError ? `: ${cause.message}` : '';
    throw bad(`the witness policy ${path} can't be used${reason}`, cause);
  }
}

function bad(message: string, cause: unknown): StandaloneError {
  return new StandaloneError('bad_config', message, { hint: 'correct it in config.json, under "log"', cause });
}

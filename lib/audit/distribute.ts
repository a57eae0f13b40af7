/**
 * Carries each published checkpoint to where it can't be taken back: anchors keep it, witnesses cosign it, and their
 * cosignatures are published beneath it. Apart from sealing, which waits for nobody: what a place misses while it is away,
 * the next checkpoint makes up for, since that one covers everything before it.
 */
import type { Logger } from 'pino';
import { utf8 } from '../crypto/encoding.ts';
import type { NoteSignature, NoteVerifier } from '../crypto/note.ts';
import type { Anchor } from './anchor.ts';
import { openCheckpoint } from './checkpoint.ts';
import type { Publication } from './publication.ts';
import type { WitnessClient } from './witness-client.ts';
import { withCosignatures } from './witness-client.ts';
import type { WitnessPolicy } from './witness-policy.ts';

export type DistributorDeps = {
  readonly publication: Publication;
  readonly origin: string;
  readonly verifiers: readonly NoteVerifier[];
  readonly anchors: readonly Anchor[];
  readonly witnesses?: { readonly policy: WitnessPolicy; readonly client: WitnessClient };
  readonly logger: Pick<Logger, 'error' | 'warn'>;
  readonly delay: (ms: number, signal: AbortSignal) => Promise<void>;
};

export type Distribution = {
  readonly size: number;
  /** Names of anchors and witnesses, and why each did not take it. */
  readonly failed: ReadonlyMap<string, unknown>;
};

export type Distributor = {
  /** Distributes the newest checkpoint; undefined when there is none. Never throws for one place that fails. */
  distribute(): Promise<Distribution | undefined>;
  /** Distributes whenever there is a new checkpoint, until the signal. */
  run(signal: AbortSignal): Promise<void>;
};

const pollMs = 1_000;
/** After a place failed. */
const retryMs = 30_000;

export function createDistributor(deps: DistributorDeps): Distributor {
  const { publication, origin, verifiers, anchors, witnesses, logger } = deps;

  async function distribute(): Promise<Distribution | undefined> {
    const bytes = await publication.read('checkpoint');
    if (bytes === undefined) return undefined;
    const { size } = openCheckpoint(bytes, { origin, verifiers });
    const note = Buffer.from(bytes).toString('utf8');
    const failed = new Map<string, unknown>();
    const attempt = async <T>(name: string, act: () => Promise<T>): Promise<T | undefined> => {
      try {
        return await act();
      } catch (error) {
        failed.set(name, error);
        logger.error({ err: error, place: name, size }, 'A checkpoint was not taken');
        return undefined;
      }
    };
    const cosigned = await Promise.all(
      (witnesses?.policy.witnesses ?? [])
        .filter(({ url }) => url !== undefined)
        .map((each) => attempt(each.name, () => (witnesses as { client: WitnessClient }).client.cosign(each, note))),
    );
    const signatures = cosigned.filter((each): each is NoteSignature => each !== undefined);
    const whole = signatures.length === 0 ? note : withCosignatures(note, signatures);
    // False when a larger one is published meanwhile: that one is next.
    if (signatures.length > 0) await publication.publishCheckpoint(utf8(whole), size);
    await Promise.all(anchors.map((anchor) => attempt(anchor.name, () => anchor.keep(whole))));
    return { size, failed };
  }

  async function run(signal: AbortSignal): Promise<void> {
    const pause = async (ms: number) => {
      if (!signal.aborted) await deps.delay(ms, signal).catch(() => undefined);
    };
    let done = -1;
    while (!signal.aborted) {
      let waitMs = pollMs;
      try {
        if ((await publishedSize()) > done) {
          const distribution = await distribute();
          if (distribution !== undefined && distribution.failed.size === 0) done = distribution.size;
          else waitMs = retryMs;
        }
      } catch (error) {
        logger.warn({ err: error }, 'The published checkpoint could not be distributed');
      }
      await pause(waitMs);
    }
  }

  async function publishedSize(): Promise<number> {
    const bytes = await publication.read('checkpoint');
    return bytes === undefined ? -1 : openCheckpoint(bytes, { origin, verifiers }).size;
  }

  return { distribute, run };
}

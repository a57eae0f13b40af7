/** The verdicts on the published log, for those who may not read it. */
import type { LogSource } from '../../lib/audit/publication.ts';
import type { Verdicts } from '../../lib/audit/verdicts.ts';
import { verifyLog } from '../../lib/audit/verify.ts';
import { parseVerifierKey } from '../../lib/crypto/note.ts';
import type { FleetDescriptor } from '../../lib/identity/descriptor.ts';
import type { BlobStore } from '../../lib/store/blobs.ts';
import type { Store } from '../../lib/store/port.ts';

export type ComplianceDeps = {
  readonly store: Store;
  readonly blobs: BlobStore;
  readonly publication: LogSource;
  readonly descriptor: FleetDescriptor;
  readonly now: () => number;
};

/** The verdicts on the published log, made once for each checkpoint: reading the whole log again would tell nothing new. */
export function createVerification({
  publication,
  descriptor,
  now,
}: ComplianceDeps): () => Promise<Verdicts | undefined> {
  let held: { readonly note: string; readonly verdicts: Verdicts } | undefined;
  let running: Promise<Verdicts> | undefined;
  return async () => {
    const bytes = await publication.read('checkpoint');
    if (bytes === undefined) return undefined;
    const note = Buffer.from(bytes).toString('latin1');
    if (held?.note === note) return held.verdicts;
    // One at a time: asked again and again while the log grows, it would otherwise be read whole many times at once.
    running ??= verifyLog({ source: publication, verifiers: [parseVerifierKey(descriptor.log.key)], now })
      .then((verdicts) => {
        held = { note, verdicts };
        return verdicts;
      })
      .finally(() => {
        running = undefined;
      });
    return running;
  };
}

/** The newest published checkpoint, as the admin API reads it: from the publication, and believed only under the log's key. */
import { type Checkpoint, openCheckpoint } from '../../../lib/audit/checkpoint.ts';
import type { LogSource } from '../../../lib/audit/publication.ts';
import { parseVerifierKey } from '../../../lib/crypto/note.ts';
import type { FleetDescriptor } from '../../../lib/identity/descriptor.ts';

export type Published = Pick<Checkpoint, 'size'> & { readonly note: string };

/** Size 0 and an empty note before the first one. Throws `AuditError` when what is published is not authentic. */
export async function readPublished(deps: {
  readonly publication: LogSource;
  readonly descriptor: FleetDescriptor;
}): Promise<Published> {
  const note = await deps.publication.read('checkpoint');
  if (note === undefined) return { size: 0, note: '' };
  const { origin, key } = deps.descriptor.log;
  const { size } = openCheckpoint(note, { origin, verifiers: [parseVerifierKey(key)] });
  return { size, note: Buffer.from(note).toString('utf8') };
}

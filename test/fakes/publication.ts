/** A publication in memory, with the port's refusals; its files can be tampered with. */
import { AuditError } from '../../lib/audit/port.ts';
import type { Publication } from '../../lib/audit/publication.ts';

export type FakePublication = Publication & { readonly files: Map<string, Uint8Array> };

export function createFakePublication(): FakePublication {
  const files = new Map<string, Uint8Array>();
  return {
    files,
    read: async (path) => files.get(path),
    async write(path, bytes) {
      const held = files.get(path);
      if (held !== undefined && !Buffer.from(held).equals(bytes)) throw new AuditError('corrupt', `${path} differs`);
      files.set(path, Uint8Array.from(bytes));
    },
    async publishCheckpoint(note, size) {
      const held = files.get('checkpoint');
      if (held !== undefined && Number(Buffer.from(held).toString().split('\n')[1]) > size) return false;
      files.set('checkpoint', Uint8Array.from(note));
      return true;
    },
    async dropPartials(path) {
      for (const each of files.keys()) if (each.startsWith(`${path}.p/`)) files.delete(each);
    },
  };
}

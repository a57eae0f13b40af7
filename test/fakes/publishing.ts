/** What the tests of publishing share: a server in memory and two operators, both of whom must sign. */

import type { Actor } from '../../lib/audit/port.ts';
import { sha256Hex } from '../../lib/crypto/digest.ts';
import { utf8 } from '../../lib/crypto/encoding.ts';
import { type Crate, type CrateResource, formatCrate, type Manifest } from '../../lib/policy/model.ts';
import { type PublishRequest, publishRelease } from '../../lib/policy/publish.ts';
import { createMemoryBlobs } from '../../lib/store/blobs-memory.ts';
import { createMemoryStore } from '../../lib/store/memory.ts';
import { createFakeAudit } from './audit.ts';
import { createOperator, manifestBytes, noon } from './policy.ts';

export const [alice, bob] = [createOperator(), createOperator()];
const actor: Actor = { id: 'local-admin', kind: 'local-admin', role: 'admin', auth: 'local-admin' };

/** A server without any release, and whom it trusts. */
export function setUp() {
  const store = createMemoryStore();
  const audit = createFakeAudit(store);
  const blobs = createMemoryBlobs();
  const trust = { fleet: 'demo', operators: { threshold: 2, keys: [alice.line, bob.line] } };
  const deps = { store, blobs, audit, now: () => noon, trust };
  const request = (manifest: Uint8Array, more: Partial<PublishRequest> = {}): PublishRequest => ({
    manifest,
    signatures: [alice.sign(manifest), bob.sign(manifest)],
    actor,
    ...more,
  });
  const publish = (manifest: Uint8Array, more?: Partial<PublishRequest>) =>
    publishRelease(deps, request(manifest, more));
  return { deps, store, audit, blobs, request, publish };
}

/** A file resource with this content. */
export const file = (content: string, more: Partial<CrateResource> = {}): CrateResource => ({
  type: 'file',
  id: '/a',
  desired: { path: '/a', content: { sha256: sha256Hex(content), bytes: content.length } },
  ...more,
});

/** A manifest of one crate "motd", and uploads what it names. */
export async function release(
  set: ReturnType<typeof setUp>,
  content: string,
  change: Partial<Manifest> = {},
  crate: Partial<Crate> = {},
) {
  const bytes = formatCrate({ crate: 'motd', resources: [file(content)], ...crate });
  await set.blobs.put(bytes);
  await set.blobs.put(utf8(content));
  return manifestBytes({
    bindings: [{ match: { name: '*' }, crates: ['motd'] }],
    crates: [{ name: 'motd', sha256: sha256Hex(bytes), blobs: [sha256Hex(content)] }],
    ...change,
  });
}

/** The builds of the agent that nodes are given: those that their rings run now, and no others. */
import { getBuild, type PublishedBuild } from '../../lib/artifacts/builds.ts';
import { type RingNode, type Rings, wantedBuild } from '../../lib/artifacts/rings.ts';
import type { Store } from '../../lib/store/port.ts';

export type WantedBuilds = {
  /** The build with this program, if that is what the node's ring runs. */
  get(node: RingNode, sha256: string): Promise<PublishedBuild | undefined>;
  /** Whether the digest is that of a part of what the node's ring runs. */
  hasPart(node: RingNode, sha256: string): Promise<boolean>;
};

/** There are at most as many builds wanted at one time as rings times platforms. */
const maxKept = 64;

export function createWantedBuilds(deps: {
  readonly store: Pick<Store, 'get'>;
  readonly rings: () => Rings;
}): WantedBuilds {
  const kept = new Map<string, PublishedBuild>();

  return {
    async get(node, sha256) {
      const build = await buildFor(node);
      return build?.sha256 === sha256 ? build : undefined;
    },
    async hasPart(node, sha256) {
      return (await buildFor(node))?.parts.includes(sha256) ?? false;
    },
  };

  /** Whatever the node runs: one that takes the build again after a failure must get it too. */
  async function buildFor(node: RingNode): Promise<PublishedBuild | undefined> {
    const wanted = wantedBuild(deps.rings().rings, node, '');
    if (wanted === undefined) return undefined;
    const held = kept.get(wanted.sha256);
    if (held !== undefined) return held;
    const build = await getBuild(deps.store, wanted.ring.version, node.platform);
    if (build === undefined || build.sha256 !== wanted.sha256) return undefined;
    if (kept.size >= maxKept) kept.clear();
    kept.set(wanted.sha256, build);
    return build;
  }
}

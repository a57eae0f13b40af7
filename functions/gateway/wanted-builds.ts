/** The builds of the agent that nodes are given: those that their rings run now, and no others. */
import { getBuild, type PublishedBuild } from '../../lib/artifacts/builds.ts';
import { type Ring, type RingNode, type Rings, wantedBuild } from '../../lib/artifacts/rings.ts';
import type { Store } from '../../lib/store/port.ts';

export type WantedBuilds = {
  /** The build with this program, if that is what the node's ring runs. */
  get(node: RingNode, sha256: string): Promise<PublishedBuild | undefined>;
  /** The part with this digest of what the node's ring runs. */
  part(node: RingNode, sha256: string): Promise<WantedPart | undefined>;
};

export type WantedPart = {
  readonly ring: Ring;
  /** Agents fetch parts in their order, so a node that has this one has the whole build. */
  readonly isLast: boolean;
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
      const found = await buildFor(node);
      return found?.build.sha256 === sha256 ? found.build : undefined;
    },
    async part(node, sha256) {
      const found = await buildFor(node);
      if (!found?.build.parts.includes(sha256)) return undefined;
      return { ring: found.ring, isLast: found.build.parts.at(-1) === sha256 };
    },
  };

  /** Whatever the node runs: one that takes the build again after a failure must get it too. */
  async function buildFor(
    node: RingNode,
  ): Promise<{ readonly ring: Ring; readonly build: PublishedBuild } | undefined> {
    const wanted = wantedBuild(deps.rings().rings, node, '');
    if (wanted === undefined) return undefined;
    const { ring, sha256 } = wanted;
    const build = kept.get(sha256) ?? (await getBuild(deps.store, ring.version, node.platform));
    if (build === undefined || build.sha256 !== sha256) return undefined;
    if (kept.size >= maxKept) kept.clear();
    kept.set(sha256, build);
    return { ring, build };
  }
}

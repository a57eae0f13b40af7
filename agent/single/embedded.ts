/** What the build put into the one file: its version, and who may sign the builds that it gives way to. */
import { type ArtifactKeys, parseKeys } from '../../lib/artifacts/keys.ts';
import { parseVersion, type Version } from '../../lib/artifacts/version.ts';

/** Replaced by build/one-file.ts with text; there is no other way to set them. */
declare const HOLDFAST_VERSION: string;
declare const HOLDFAST_ARTIFACT_KEYS: string;
declare const HOLDFAST_TRIAL_SECONDS: number;

export type Embedded = {
  readonly version: Version;
  readonly keys: ArtifactKeys;
  /** As Node names it, such as `linux-x64`. */
  readonly platform: string;
  /** How long a new build has to prove itself. */
  readonly trialMs: number;
};

export function readEmbedded(): Embedded {
  return {
    version: parseVersion(HOLDFAST_VERSION),
    keys: parseKeys(HOLDFAST_ARTIFACT_KEYS),
    platform: `${process.platform}-${process.arch}`,
    trialMs: HOLDFAST_TRIAL_SECONDS * 1000,
  };
}

/** What the build compiles into a loader: who may sign what it loads, and what that is. */
import type { ArtifactKind } from '../lib/artifacts/manifest.ts';

export interface GateConfig {
  readonly kind: ArtifactKind;
  readonly name: string;
  /** The text of a key list; see lib/artifacts/keys.ts. */
  readonly keys: string;
  /** The module to import once everything is verified. */
  readonly program: string;
}

/** The manifest's own file, beside the loader. */
export const manifestFile = 'manifest.note';

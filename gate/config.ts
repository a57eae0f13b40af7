/** What the build compiles into a loader: who may sign what it loads, and what that is. */
import type { ArtifactKind } from '../lib/artifacts/manifest.ts';

export interface GateConfig {
  readonly kind: ArtifactKind;
  readonly name: string;
  /** The text of a key list; see lib/artifacts/keys.ts. */
  readonly keys: string;
  /** The module to import once everything is verified. */
  readonly program: string;
  /** The process is this program's own. A Lambda function shares one with the runtime, which started it. */
  readonly ownProcess: boolean;
}

/** Beside the loader. */
export const manifestFile = 'manifest.note';
export const gateFile = 'gate.mjs';

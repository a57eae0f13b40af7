/** Two manifests of what should be the same build. */
import type { ArtifactManifest } from '../lib/artifacts/manifest.ts';

/** The path of the first file that one has and the other has not, or has otherwise. */
export function firstDifference(a: ArtifactManifest, b: ArtifactManifest): string | undefined {
  const key = ({ path, size, sha256 }: ArtifactManifest['files'][number]) => `${path}\n${size}\n${sha256}`;
  const [ofA, ofB] = [new Set(a.files.map(key)), new Set(b.files.map(key))];
  const only = [...a.files.filter((file) => !ofB.has(key(file))), ...b.files.filter((file) => !ofA.has(key(file)))];
  return only.map(({ path }) => path).sort()[0];
}

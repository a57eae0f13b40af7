/**
 * The program that runs, as the startup gate verified it. Unbuilt (in tests and tools) there is none, and files come from
 * the source tree. The gate leaves it under a registered symbol, because it is another bundle than the program.
 */
import { readFileSync } from 'node:fs';

export interface VerifiedProgram {
  readonly kind: string;
  readonly name: string;
  readonly version: string;
  readonly platform: string;
  /** Where the artifact lies; everything in it is protected, and nothing of it is read a second time. */
  readonly directory: string;
  /** Hex; which artifact this is, for the audit log and for whoever wonders. */
  readonly manifestSha256: string;
  /** Every file of the manifest, and its bytes as they were verified. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** What the gate found in the process's surroundings and took away: names of options and variables. */
  readonly removed: readonly string[];
  /** Loads a native module of `files` from those bytes. Throws where the platform refuses. */
  loadNative(path: string): unknown;
  /** `device:inode` of what `loadNative` mapped. */
  readonly mapped: readonly string[];
}

const place = Symbol.for('holdfast.verified-program');

export function verifiedProgram(): VerifiedProgram | undefined {
  return (globalThis as { [place]?: VerifiedProgram })[place];
}

/** Only the gate calls this. The first one stays. */
export function setVerifiedProgram(program: VerifiedProgram): void {
  Object.defineProperty(globalThis, place, { value: Object.freeze(program), writable: false, configurable: false });
}

/** A file that the program needs beside its code: `name` as the build puts it, `unbuilt` where the source tree has it. */
export function programFile(name: string, unbuilt: () => string | URL): Uint8Array {
  const program = verifiedProgram();
  if (program === undefined) return readFileSync(unbuilt());
  const bytes = program.files.get(name);
  if (bytes === undefined) throw new TypeError(`the build has no ${JSON.stringify(name)}`);
  return bytes;
}

/** The product's version: the artifact's, or the one in the `package.json` of the source tree. */
export function programVersion(packageJson: URL): string {
  const program = verifiedProgram();
  if (program !== undefined) return program.version;
  const { version } = JSON.parse(readFileSync(packageJson, 'utf8')) as { version: string };
  return version;
}

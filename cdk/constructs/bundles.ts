/** The programs that ship: one folder each, made by `npm run build` before anything is synthesized. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { FunctionName as ProgramName } from '../../functions/aws/environment.ts';

/** Every program, by the folder of its source. */
export type BundleName = ProgramName;
/** Those that run as Lambda functions. */
export type FunctionName = Exclude<BundleName, 'gateway'>;

export class MissingBundleError extends Error {
  override readonly name = 'MissingBundleError';
  readonly code = 'missing_bundle';
}

/** Path of a program's folder. Throws `MissingBundleError`, with what to do, when it was not built. */
export function bundlePath(directory: string, name: BundleName): string {
  const path = join(directory, name);
  if (!existsSync(path)) {
    throw new MissingBundleError(
      `the program of ${name} was not built: there is no ${path}\nhint: run npm run build first`,
    );
  }
  return path;
}

/**
 * Everything that a release consists of, unsigned: one folder an artifact, and the texts to sign. Run as a program it
 * builds the tree that it lies in, so that a copy of the sources at another path can be built for comparison:
 *
 *     node build/release-tree.ts DIRECTORY VERSION NOT-AFTER KEYS-FILE [FOLDER]
 */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { functionNames } from '../functions/aws/environment.ts';
import { manifestOf } from './manifest.ts';
import {
  agentProgram,
  buildProgram,
  functionProgram,
  imageFiles,
  type Program,
  serverProgram,
  sourceRoot,
} from './programs.ts';
import { sbomOf } from './sbom.ts';

/** Platforms that native modules are shipped for. */
export const releasePlatforms = ['linux-arm64', 'linux-x64'] as const;

export interface ReleasePart {
  readonly folder: string;
  readonly program: Program;
  readonly files: Readonly<Record<string, string>>;
}

export function releaseParts(): readonly ReleasePart[] {
  const programs = releasePlatforms.flatMap((platform) => [
    { folder: `holdfast-server-${platform}`, program: serverProgram(platform), files: {} },
    { folder: `holdfast-agent-${platform}`, program: agentProgram(platform), files: {} },
  ]);
  const functions = functionNames.map((name) => ({
    folder: `holdfast-${name}`,
    program: functionProgram(name),
    files: imageFiles(name),
  }));
  return [...programs, ...functions];
}

export interface ReleaseOptions {
  readonly version: string;
  readonly notAfter: number;
  /** The text of a key list. */
  readonly keys: string;
  /** One folder instead of all. */
  readonly only?: string | undefined;
}

/** The text to sign for each folder. */
export async function buildRelease(
  directory: string,
  { version, notAfter, keys, only }: ReleaseOptions,
): Promise<ReadonlyMap<string, string>> {
  mkdirSync(directory, { recursive: true });
  const texts = new Map<string, string>();
  for (const { folder, program, files } of releaseParts().filter(
    (part) => only === undefined || part.folder === only,
  )) {
    const target = join(directory, folder);
    await buildProgram(program, target, keys);
    for (const [name, source] of Object.entries(files)) copyFileSync(source, join(target, name));
    texts.set(folder, manifestOf(program, target, version, notAfter));
  }
  writeFileSync(join(directory, 'sbom.cdx.json'), sbomOf(sourceRoot, version));
  writeFileSync(join(directory, 'manifests.json'), JSON.stringify(Object.fromEntries(texts)));
  return texts;
}

if (import.meta.main) {
  const [directory = '', version = '', notAfter = '', keysFile = '', only] = process.argv.slice(2);
  await buildRelease(directory, { version, notAfter: Number(notAfter), keys: readFileSync(keysFile, 'utf8'), only });
}

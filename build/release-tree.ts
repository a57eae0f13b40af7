/**
 * Everything that a release consists of, unsigned: one folder an artifact, and the texts to sign. Run as a program it
 * builds the tree that it lies in, so that a copy of the sources at another path can be built for comparison:
 *
 *     node build/release-tree.ts DIRECTORY VERSION NOT-AFTER KEYS-FILE [FOLDER]
 */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { artifact as agentArtifact, noteFile as agentNoteFile } from '../agent/updater/layout.ts';
import { functionNames } from '../functions/aws/environment.ts';
import { manifestFile } from '../gate/config.ts';
import type { ExpectedArtifact } from '../lib/artifacts/verify.ts';
import { manifestOf } from './manifest.ts';
import { buildOneFile, oneFilePlatform } from './one-file.ts';
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
  /** What its manifest has to be of. */
  readonly artifact: ExpectedArtifact;
  /** The name of its signed manifest, in the folder. */
  readonly noteFile: string;
  /** Fills the directory, which is to be empty. */
  build(directory: string, options: Pick<ReleaseOptions, 'version' | 'keys'>): Promise<void>;
}

/** Programs for each platform; the agent as one file for the platform of this machine, if that is one of them. */
export function releaseParts(): readonly ReleasePart[] {
  const programs = releasePlatforms.flatMap((platform) => [
    programPart(`holdfast-server-${platform}`, serverProgram(platform)),
    programPart(`holdfast-agent-${platform}`, agentProgram(platform)),
  ]);
  const functions = functionNames.map((name) =>
    programPart(`holdfast-${name}`, functionProgram(name), imageFiles(name)),
  );
  const oneFile = oneFilePlatform();
  return [...programs, ...functions, ...(oneFile === undefined ? [] : [oneFilePart(oneFile)])];
}

function programPart(folder: string, program: Program, files: Readonly<Record<string, string>> = {}): ReleasePart {
  return {
    folder,
    artifact: program,
    noteFile: manifestFile,
    async build(directory, { keys }) {
      await buildProgram(program, directory, keys);
      for (const [name, source] of Object.entries(files)) copyFileSync(source, join(directory, name));
    },
  };
}

function oneFilePart(platform: string): ReleasePart {
  return {
    folder: `holdfast-agent-one-file-${platform}`,
    artifact: { ...agentArtifact, platform },
    noteFile: agentNoteFile,
    build: (directory, { version, keys }) => buildOneFile(directory, { version, keys }),
  };
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
  for (const part of releaseParts().filter(({ folder }) => only === undefined || folder === only)) {
    const target = join(directory, part.folder);
    await part.build(target, { version, keys });
    texts.set(part.folder, manifestOf(part.artifact, target, version, notAfter));
  }
  writeFileSync(join(directory, 'sbom.cdx.json'), sbomOf(sourceRoot, version));
  writeFileSync(join(directory, 'manifests.json'), JSON.stringify(Object.fromEntries(texts)));
  return texts;
}

if (import.meta.main) {
  const [directory = '', version = '', notAfter = '', keysFile = '', only] = process.argv.slice(2);
  await buildRelease(directory, { version, notAfter: Number(notAfter), keys: readFileSync(keysFile, 'utf8'), only });
}

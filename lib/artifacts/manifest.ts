/**
 * An artifact manifest: what a build is, and the digest of every file in it. The text of a signed note:
 *
 *     holdfast-artifact/v1
 *     kind agent
 *     name holdfast-agent
 *     version 1.4.0
 *     platform linux-x64
 *     not-after 2031-05-01T00:00:00Z
 *     size 104857600
 *     file 3b1f…64 hex digits… 104857600 holdfast-agent
 *
 * Every line is there, in this order; `file` lines are sorted by path (as bytes), and `size` is their sum. So a manifest
 * has one encoding only: `formatManifest(parseManifest(text)) === text`.
 *
 * Use: `parseManifest`/`formatManifest` here; `verifyManifest` in verify.ts for anything that came from elsewhere;
 * `verifyFiles` in files.ts for the bytes; keys.ts for who may sign; version.ts to order versions.
 */
import { ArtifactError } from './errors.ts';
import { parseVersion, type Version } from './version.ts';

/** `server` is the standalone control plane, `gateway` its container, `function` a Lambda function. */
export const artifactKinds = ['server', 'gateway', 'function', 'agent'] as const;

export type ArtifactKind = (typeof artifactKinds)[number];

export interface ArtifactFile {
  /** Relative, `/` between names, no `.` or `..`. */
  readonly path: string;
  readonly size: number;
  /** 64 lower-case hex digits. */
  readonly sha256: string;
}

export interface ArtifactManifest {
  readonly kind: ArtifactKind;
  /** Such as `holdfast-agent`. */
  readonly name: string;
  readonly version: Version;
  /** As Node says them, `linux-x64`; or `any`. */
  readonly platform: string;
  /** Milliseconds; whole seconds. From this moment on, nothing accepts the manifest. */
  readonly notAfter: number;
  /** Sorted by path, each path once; at least one. */
  readonly files: readonly ArtifactFile[];
}

const firstLine = 'holdfast-artifact/v1';
/** The bounds are checked before anything is allocated for what they bound. */
export const maxManifestBytes = 256 * 1024;
const maxFiles = 2048;

/** Sum of the sizes of all files. */
export function artifactSize(manifest: Pick<ArtifactManifest, 'files'>): number {
  return manifest.files.reduce((sum, { size }) => sum + size, 0);
}

/** Reads an attacker-controlled manifest. Throws `ArtifactError` `malformed`; says nothing about signatures. */
export function parseManifest(text: string): ArtifactManifest {
  if (text.length > maxManifestBytes) throw malformed(`is ${text.length} characters, limit ${maxManifestBytes}`);
  const lines = text.split('\n');
  if (lines.pop() !== '') throw malformed('does not end in a line feed');
  if (lines.length > maxFiles + 7) throw malformed(`names over ${maxFiles} files`);
  const [first, kind, name, version, platform, notAfter, size, ...files] = lines;
  if (first !== firstLine) throw malformed(`does not begin with "${firstLine}"`);
  const manifest = checked({
    kind: field(kind, 'kind') as ArtifactKind,
    name: field(name, 'name'),
    version: parseVersion(field(version, 'version')),
    platform: field(platform, 'platform'),
    notAfter: parseSeconds(field(notAfter, 'not-after')),
    files: files.map((line) => parseFile(field(line, 'file'))),
  });
  if (field(size, 'size') !== String(artifactSize(manifest)))
    throw malformed('has a size that is not that of its files');
  return manifest;
}

/** The text that is signed. Throws `ArtifactError` `malformed` for what `parseManifest` would not read. */
export function formatManifest(manifest: ArtifactManifest): string {
  checked(manifest);
  const files = manifest.files.map(({ sha256, size, path }) => `file ${sha256} ${size} ${path}\n`);
  return `${firstLine}
kind ${manifest.kind}
name ${manifest.name}
version ${parseVersion(manifest.version)}
platform ${manifest.platform}
not-after ${formatSeconds(manifest.notAfter)}
size ${artifactSize(manifest)}
${files.join('')}`;
}

/** The order of `file` lines. */
export function comparePaths(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1; // paths are ASCII, so this is the order of bytes
}

function checked(manifest: ArtifactManifest): ArtifactManifest {
  const { kind, name, platform, files } = manifest;
  if (!artifactKinds.includes(kind)) throw malformed('is of an unknown kind');
  if (!/^[a-z][a-z0-9-]{0,63}$/.test(name)) throw malformed('has no name of lower-case letters, digits and dashes');
  if (!/^(any|[a-z0-9]{1,16}-[a-z0-9]{1,16})$/.test(platform)) throw malformed('has no platform such as linux-x64');
  if (files.length === 0 || files.length > maxFiles) throw malformed(`names no file, or over ${maxFiles}`);
  for (const [index, file] of files.entries()) {
    checkFile(file);
    const before = files[index - 1];
    if (before !== undefined && comparePaths(before.path, file.path) >= 0) {
      throw malformed(`names ${JSON.stringify(file.path)} twice, or out of order`);
    }
  }
  if (!Number.isSafeInteger(artifactSize(manifest))) throw malformed('has files of an impossible size');
  return manifest;
}

function checkFile({ path, size, sha256 }: ArtifactFile): void {
  // Such names mean the same on every file system, apart from case; `.` and `..` are not among them.
  const names = path.split('/');
  if (path.length > 255 || !names.every((name) => /^[A-Za-z0-9_@+-][A-Za-z0-9_@+.-]*$/.test(name))) {
    throw malformed(`names the file ${JSON.stringify(path.slice(0, 80))}, which is not a plain relative path`);
  }
  if (!Number.isSafeInteger(size) || size < 0) throw malformed(`gives ${JSON.stringify(path)} no size`);
  if (!/^[0-9a-f]{64}$/.test(sha256)) throw malformed(`gives ${JSON.stringify(path)} no SHA-256`);
}

function parseFile(value: string): ArtifactFile {
  const [sha256 = '', size = '', path = '', ...more] = value.split(' ');
  if (more.length > 0 || !/^(0|[1-9][0-9]{0,15})$/.test(size))
    throw malformed('has a file line that is not "digest size path"');
  return { path, size: Number(size), sha256 };
}

function field(line: string | undefined, name: string): string {
  const prefix = `${name} `;
  if (line === undefined || !line.startsWith(prefix)) throw malformed(`has no line "${name} …" where it belongs`);
  return line.slice(prefix.length);
}

/** RFC 3339 in UTC, whole seconds, `Z`: one text for one moment. */
function parseSeconds(text: string): number {
  const ms = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isFinite(ms) || formatSeconds(ms) !== text) throw malformed('has no time such as 2031-05-01T00:00:00Z');
  return ms;
}

function formatSeconds(ms: number): string {
  if (!Number.isSafeInteger(ms) || ms % 1000 !== 0 || ms < 0 || ms > 253402300799000) {
    throw malformed('expires at no whole second of a year up to 9999');
  }
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

function malformed(problem: string): ArtifactError {
  return new ArtifactError('malformed', `the manifest ${problem}`);
}

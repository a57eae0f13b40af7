/** Archives of any kind that the agent unpacks, and the marker that says what was unpacked. */
import { gunzipSync } from 'node:zlib';
import { z } from 'zod';
import { sha256Hex } from '../../lib/crypto/digest.ts';
import { archiveLimits, complete, confine, type Member, refuse } from './archive-members.ts';
import { readTar } from './tar.ts';
import { readZip } from './zip.ts';

export const markerName = '.unpacked-by-holdfast.json';

const listed = z.strictObject({
  path: z.string().refine(isConfined),
  mode: z.int().min(0).max(0o777),
  /** Of a file; a directory has none. */
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional(),
});

const marker = z.strictObject({
  v: z.literal(1),
  source: z.string(),
  isComplete: z.boolean(),
  /** Directories before what is in them. */
  members: z.array(listed).max(archiveLimits.maxMembers * 2),
});

export type Listed = z.output<typeof listed>;
export type Marker = Omit<z.output<typeof marker>, 'v'>;

export function formatMarker(value: Marker): Uint8Array {
  return Buffer.from(`${JSON.stringify({ v: 1, ...value })}\n`);
}

/** Somebody may have changed it: a damaged one counts as none, and no path in it can lead out of the directory. */
export function parseMarker(bytes: Uint8Array): Marker | undefined {
  try {
    return marker.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
  } catch (_damaged) {
    return undefined;
  }
}

/** The members, directories before what is in them. Throws `wrong_kind` for an archive that is refused. */
export function membersOf(
  bytes: Uint8Array,
  format: 'tar' | 'tar.gz' | 'zip' | undefined,
  strip: number,
): readonly { readonly listed: Listed; readonly content: Uint8Array }[] {
  const members = complete(read(bytes, format ?? formatOf(bytes), strip));
  if (members.some(({ path }) => path === markerName)) {
    throw refuse('it holds the marker that says what was unpacked');
  }
  return members.map((member) =>
    member.kind === 'directory'
      ? { listed: { path: member.path, mode: member.mode }, content: new Uint8Array() }
      : {
          listed: { path: member.path, mode: member.mode, sha256: sha256Hex(member.content) },
          content: member.content,
        },
  );
}

function read(bytes: Uint8Array, format: 'tar' | 'tar.gz' | 'zip', strip: number): readonly Member[] {
  switch (format) {
    case 'zip':
      return readZip(bytes, strip);
    case 'tar':
      return readTar(bytes, strip);
    case 'tar.gz':
      return readTar(gunzip(bytes), strip);
    default:
      return format satisfies never;
  }
}

/** By the first bytes: gzip (RFC 1952, section 2.3.1), zip (APPNOTE 4.3), or else tar, which says it further on. */
function formatOf(bytes: Uint8Array): 'tar' | 'tar.gz' | 'zip' {
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) {
    return 'tar.gz';
  }
  return bytes[0] === 0x50 && bytes[1] === 0x4b ? 'zip' : 'tar';
}

function gunzip(bytes: Uint8Array): Uint8Array {
  try {
    return gunzipSync(bytes, { maxOutputLength: archiveLimits.maxBytes });
  } catch (error) {
    throw refuse(`it can't be unpacked (${error instanceof Error ? error.message : 'unknown'})`);
  }
}

function isConfined(path: string): boolean {
  try {
    return confine(path, 0) === path;
  } catch (_refused) {
    return false;
  }
}

/**
 * `archive`: the files of a tar or zip archive, unpacked into this directory, or none of them. The directory must
 * exist, and what else is in it stays.
 *
 * An archive is refused as a whole when a member leads out of the directory, has an absolute path, or is anything but a
 * file or a directory. A marker in the directory says what was unpacked, with the digest of each file, so that a file
 * changed by hand is seen without the archive, and a later archive takes away what only an earlier one had.
 */
import { z } from 'zod';
import type { Difference, Executor, ExecutorContext } from '../executor.ts';
import { type Host, HostError, type HostView, type Place } from '../host.ts';
import { formatMarker, type Listed, markerName, membersOf, parseMarker } from '../platform/archives.ts';
import { absolutePath, account, declaredOwner, resolveOwnership } from './fields.ts';

const maxArchiveBytes = 512 * 1024 * 1024;
const maxMarkerBytes = 32 * 1024 * 1024;

const schema = z
  .strictObject({
    /** The directory to unpack into. */
    path: absolutePath,
    state: z.enum(['present', 'absent']).default('present'),
    /** The blob that holds the archive. */
    content: z.strictObject({ sha256: z.string().regex(/^[0-9a-f]{64}$/), bytes: z.int().min(0) }).optional(),
    /** An archive that is on the machine already, in place of `content`. */
    local: absolutePath.optional(),
    /** What kind it is; told by its first bytes when left out. */
    format: z.enum(['tar', 'tar.gz', 'zip']).optional(),
    /** How many leading parts of each member's path are left out. */
    strip: z.int().min(0).max(20).default(0),
    owner: account.optional(),
    group: account.optional(),
  })
  .refine(
    (desired) => desired.state === 'absent' || (desired.content === undefined) !== (desired.local === undefined),
    {
      message: 'either content or local is required, unless the state is "absent"',
      path: ['content'],
    },
  );

export type Archive = z.output<typeof schema>;
export type ArchiveDifference = Difference & { readonly reason: string };

export const archive: Executor<Archive, ArchiveDifference> = {
  name: 'archive',
  schema,
  id: (desired) => desired.path,
  paths: (desired) => [desired.path, `${desired.path}/${markerName}`],
  timeoutMs: 30 * 60_000,

  async check(desired, host) {
    const owner = await declaredOwner(desired.owner, host);
    const marker = await readMarker(desired, host, owner);
    if (desired.state === 'absent') {
      return marker === undefined ? undefined : { change: 'removed', reason: 'it is unpacked' };
    }
    const status = await host.inspect({ path: desired.path, owner });
    if (status?.kind !== 'directory') {
      const what = status === undefined ? 'does not exist' : 'is no directory';
      throw new HostError(status === undefined ? 'not_found' : 'wrong_kind', `${JSON.stringify(desired.path)} ${what}`);
    }
    if (marker === undefined) {
      return { change: 'created', reason: 'it is not unpacked' };
    }
    if (marker.source !== (await sourceOf(desired, host)) || !marker.isComplete) {
      return { change: 'updated', reason: marker.isComplete ? 'another archive' : 'unpacking was cut short' };
    }
    for (const member of marker.members) {
      if (!(await isAsListed(member, desired, host, owner))) {
        return { change: 'updated', reason: `${JSON.stringify(member.path)} was changed` };
      }
    }
    return undefined;
  },

  async apply(_found, desired, host, context) {
    const owner = await declaredOwner(desired.owner, host);
    const before = (await readMarker(desired, host, owner))?.members ?? [];
    // The engine cleans up where the marker is; a run that was killed may have left temporaries further down too.
    for (const { path } of before.filter(({ sha256 }) => sha256 === undefined)) {
      await host.sweep(inside(desired, path, owner));
    }
    if (desired.state === 'absent') {
      await removeMembers(before, desired, host, owner);
      await host.removeFile(inside(desired, markerName, owner));
      return;
    }
    const bytes = await archiveBytes(desired, host, context);
    const members = membersOf(bytes, desired.format, desired.strip);
    const listed = members.map((member) => member.listed);
    const source = await sourceOf(desired, host);
    // What an earlier archive had stays listed until it is gone, and what this one has is listed before it is there.
    const surplus = before.filter(({ path }) => !listed.some((one) => one.path === path));
    await writeMarker({ source, isComplete: false, members: [...surplus, ...listed] }, desired, host);
    await removeMembers(surplus, desired, host, owner);
    for (const { listed: one, content } of members) {
      if (!(await isAsListed(one, desired, host, owner))) {
        await writeMember(one, content, desired, host, owner);
      }
    }
    await writeMarker({ source, isComplete: true, members: listed }, desired, host);
  },

  describe: (found) => found.reason,
};

function inside(desired: Archive, path: string, owner: number | undefined): Place {
  return { path: `${desired.path}/${path}`, owner };
}

/** What the marker is held against: which archive, and how it is unpacked. */
async function sourceOf(desired: Archive, host: HostView): Promise<string> {
  const digest =
    desired.local === undefined ? (desired.content?.sha256 ?? '') : await host.digest({ path: desired.local });
  return `${digest}/${desired.strip}`;
}

async function archiveBytes(desired: Archive, host: HostView, context: ExecutorContext): Promise<Uint8Array> {
  return desired.local === undefined
    ? context.blob(desired.content?.sha256 ?? '')
    : host.read({ path: desired.local }, maxArchiveBytes);
}

async function readMarker(desired: Archive, host: HostView, owner: number | undefined) {
  const place = inside(desired, markerName, owner);
  const status = await host.inspect(place);
  return status?.kind === 'file' ? parseMarker(await host.read(place, maxMarkerBytes)) : undefined;
}

async function writeMarker(marker: Parameters<typeof formatMarker>[0], desired: Archive, host: Host): Promise<void> {
  const place = inside(desired, markerName, await declaredOwner(desired.owner, host));
  await host.writeFile(place, formatMarker(marker), { mode: 0o644, ...host.self });
}

async function isAsListed(member: Listed, desired: Archive, host: HostView, owner: number | undefined) {
  const place = inside(desired, member.path, owner);
  const status = await host.inspect(place);
  const wanted = await ownershipOf(member, desired, host);
  return (
    status?.kind === (member.sha256 === undefined ? 'directory' : 'file') &&
    status.mode === wanted.mode &&
    status.uid === wanted.uid &&
    status.gid === wanted.gid &&
    (member.sha256 === undefined || (await host.digest(place)) === member.sha256)
  );
}

async function writeMember(
  member: Listed,
  content: Uint8Array,
  desired: Archive,
  host: Host,
  owner: number | undefined,
): Promise<void> {
  const place = inside(desired, member.path, owner);
  const ownership = await ownershipOf(member, desired, host);
  if (member.sha256 !== undefined) {
    await host.writeFile(place, content, ownership);
  } else if ((await host.inspect(place)) === undefined) {
    await host.makeDirectory(place, ownership);
  } else {
    await host.setDirectory(place, ownership);
  }
}

/** Never writable for others, whatever the archive says, and never setuid. */
function ownershipOf(member: Listed, desired: Archive, host: HostView) {
  const mode = (member.mode & 0o755).toString(8).padStart(4, '0');
  return resolveOwnership({ mode, owner: desired.owner, group: desired.group }, host);
}

/** Deepest first. A directory that holds something else by now stays. */
async function removeMembers(
  members: readonly Listed[],
  desired: Archive,
  host: Host,
  owner: number | undefined,
): Promise<void> {
  for (const member of members.toReversed()) {
    const place = inside(desired, member.path, owner);
    const status = await host.inspect(place);
    if (member.sha256 === undefined && status?.kind === 'directory') {
      if ((await host.list(place))?.length === 0) {
        await host.removeDirectory(place, { recurse: false });
      }
    } else if (status !== undefined && status.kind !== 'directory') {
      await host.removeFile(place);
    }
  }
}

/**
 * Text files that are otherwise somebody else's: read as bytes, one character a byte, so that any encoding survives,
 * and written whole, with the owner and mode that they had.
 */
import { type Host, HostError, type HostView, type Place } from '../host.ts';

const maxFileBytes = 8 * 1024 * 1024;
const createdMode = 0o644;

/** The file's bytes as latin1 text; undefined when there is no file. Throws `wrong_kind` for anything but a file. */
export async function readText(place: Place, host: HostView): Promise<string | undefined> {
  const status = await host.inspect(place);
  if (status === undefined) {
    return undefined;
  }
  if (status.kind !== 'file') {
    throw new HostError('wrong_kind', `${JSON.stringify(place.path)} is not a regular file`);
  }
  return Buffer.from(await host.read(place, maxFileBytes)).toString('latin1');
}

/** Writes what `readText` would read. A new file gets `mode`, the declared owner, and the agent's group. */
export async function writeText(place: Place, text: string, host: Host, mode = createdMode): Promise<void> {
  const status = await host.inspect(place);
  const ownership = status ?? { mode, uid: place.owner ?? host.self.uid, gid: host.self.gid };
  await host.writeFile(place, Buffer.from(text, 'latin1'), ownership);
}

/** Text as it stands in a file that was read by `readText`. */
export function asBytes(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** Each line with its newline, but for an unended last one. */
export function linesOf(text: string): readonly string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

/** A line without its newline, be it of Unix or of Windows. */
export function bodyOf(line: string): string {
  return line.replace(/\r?\n$/, '');
}

/** The newline that a text uses. */
export function newlineOf(text: string): '\n' | '\r\n' {
  return /\r\n/.test(text) ? '\r\n' : '\n';
}

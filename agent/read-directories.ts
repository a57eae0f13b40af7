/**
 * Directories for reading alone: those that were judged in this run are not walked to again, and stay open for as long
 * as the run only reads. Each is taken again only if its path still leads to the very directory that was judged, with
 * the owner and mode that it had. What changes something walks anew (`inParent`).
 *
 * A way through a symlink is never remembered: the symlink may come to lead elsewhere.
 */
import { lstatSync } from 'node:fs';
import { entryOf, type OpenedDirectory, openDirectory, openWithin } from './directories.ts';
import type { Place } from './host.ts';

/** So many stay open: resources come directory by directory, and ask for a few files of the system in between. */
const maxOpen = 16;

/**
 * Invariant: what is in `#open` was judged, and was walked to without a symlink. It is closed before anything runs or
 * changes (`close`), and at the latest when the event loop turns: an open directory keeps its file system mounted.
 */
export class ReadDirectories {
  readonly #self: number;
  /** By path and declared owner, the least recently opened first. */
  readonly #open = new Map<string, OpenedDirectory>();
  #turn: NodeJS.Immediate | undefined;

  constructor(self: number) {
    this.#self = self;
  }

  /** Runs `read` with the directory that holds `place`, and the name of the entry in it. Throws as `openDirectory`. */
  in<T>(place: Place, read: (directory: OpenedDirectory, name: string) => T): T {
    const { parent, name } = entryOf(place);
    const kept = this.#take(parent.path, place);
    if (kept !== undefined) {
      return read(kept, name);
    }
    const directory = openDirectory(parent, this.#self);
    try {
      return read(directory, name);
    } finally {
      directory.close();
    }
  }

  /** Lets go of all directories. */
  close(): void {
    clearImmediate(this.#turn);
    this.#turn = undefined;
    for (const directory of this.#open.values()) {
      directory.close();
    }
    this.#open.clear();
  }

  /** The directory at `path`, on the way to `place`; undefined when a symlink is on the way. */
  #take(path: string, place: Place): OpenedDirectory | undefined {
    const key = `${place.owner ?? ''}:${path}`;
    const known = this.#open.get(key);
    if (known !== undefined) {
      if (isStill(known)) {
        return known;
      }
      this.#open.delete(key);
      known.close();
    }
    const opened = this.#openAt(path, place);
    if (opened !== undefined) {
      this.#keep(key, opened);
    }
    return opened;
  }

  #openAt(path: string, place: Place): OpenedDirectory | undefined {
    if (path === '/') {
      return openDirectory({ path, owner: place.owner }, this.#self);
    }
    const { parent, name } = entryOf({ path, owner: place.owner });
    const above = this.#take(parent.path, place);
    return above && openWithin(above, name, place, this.#self);
  }

  #keep(key: string, directory: OpenedDirectory): void {
    for (const [oldest, other] of this.#open) {
      if (this.#open.size < maxOpen) {
        break;
      }
      this.#open.delete(oldest);
      other.close();
    }
    this.#open.set(key, directory);
    this.#turn ??= setImmediate(() => this.close());
  }
}

function isStill({ path, status }: OpenedDirectory): boolean {
  const now = lstatSync(path, { throwIfNoEntry: false });
  return (
    now !== undefined &&
    now.dev === status.dev &&
    now.ino === status.ino &&
    now.mode === status.mode &&
    now.uid === status.uid
  );
}

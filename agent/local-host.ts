/** The host of the machine that the agent runs on: the port put together from files, commands and accounts. */
import { accountId } from './accounts.ts';
import type { FileDeps } from './changes.ts';
import { runCommand } from './commands.ts';
import * as files from './files.ts';
import { type Command, type CommandResult, type Host, HostError, type Place, type Step } from './host.ts';
import { ReadDirectories } from './read-directories.ts';
import type { Redaction } from './redaction.ts';
import * as removal from './removal.ts';

export type LocalHostOptions = {
  /** Takes secrets out of what commands print. */
  readonly redaction?: Redaction;
  /** Called before each step of a change; what it throws cuts the change short there. For tests. */
  readonly step?: (step: Step, path: string) => void;
  /** Takes this directory for the machine: every path is below it. */
  readonly root?: string;
  /** Added to the environment of commands, and stronger than theirs. */
  readonly environment?: { readonly [name: string]: string };
  /** Taken for the kind of operating system, in place of the real one. */
  readonly platform?: string;
};

/** The databases of a system are small; what is larger is something else. */
const maxParsedBytes = 64 * 1024 * 1024;

export function createLocalHost(options: LocalHostOptions = {}): Host {
  // Platforms without numeric users report 0 for every file.
  const self = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
  const step = options.step ?? (() => undefined);
  const reading = new ReadDirectories(self.uid);
  const deps: FileDeps = { self: self.uid, step, reading };
  const memory = createMemory();

  const at = (place: Place): Place =>
    options.root === undefined ? place : { ...place, path: `${options.root}${place.path}` };
  const start = (command: Command): Promise<CommandResult> => {
    reading.close();
    return runCommand({
      ...command,
      ...(command.cwd === undefined ? {} : { cwd: at({ path: command.cwd }).path }),
      environment: { ...command.environment, ...options.environment },
    });
  };

  const host: Host = {
    self,
    platform: options.platform ?? process.platform,
    inspect: async (place) => files.inspect(deps, at(place)),
    digest: (place) => files.digest(deps, at(place)),
    read: (place, maxBytes) => files.read(deps, at(place), maxBytes),
    list: async (place) => files.list(deps, at(place)),
    async parsed(place, parse) {
      const status = await host.inspect(place);
      if (status !== undefined && status.kind !== 'file') {
        throw new HostError('wrong_kind', `${JSON.stringify(place.path)} is not a regular file`);
      }
      return memory.parsed(place.path, status?.version ?? 'none', parse, async () =>
        status === undefined ? undefined : Buffer.from(await host.read(place, maxParsedBytes)).toString('utf8'),
      );
    },
    remembered: memory.remembered,
    probe: start,
    userId: (account) => accountId(host, 'passwd', account),
    groupId: (account) => accountId(host, 'group', account),
    writeFile: (place, content, ownership, validate) => files.writeFile(deps, at(place), content, ownership, validate),
    makeDirectory: (place, ownership) => files.makeDirectory(deps, at(place), ownership),
    setDirectory: (place, ownership) => files.setDirectory(deps, at(place), ownership),
    writeSymlink: (place, target) => files.writeSymlink(deps, at(place), target),
    removeFile: (place) => removal.removeFile(deps, at(place)),
    removeDirectory: (place, how) => removal.removeDirectory(deps, at(place), how),
    sweep: (place) => removal.sweep(deps, at(place)),
    async run(command) {
      step('run', command.argv[0]);
      try {
        return await start(command);
      } finally {
        memory.forget();
      }
    },
  };
  return host;
}

type Parse = (text: string | undefined) => unknown;
type Kept = { readonly version: string; readonly value: unknown };

/** What was read and listed in this run. Invariant: nothing in it is older than the last command that ran. */
function createMemory() {
  const files = new Map<string, Map<Parse, Kept>>();
  const listings = new Map<string, Promise<unknown>>();
  return {
    async parsed<T>(
      path: string,
      version: string,
      parse: (text: string | undefined) => T,
      read: () => Promise<string | undefined>,
    ): Promise<T> {
      const kept = files.get(path)?.get(parse);
      if (kept?.version === version) {
        return kept.value as T;
      }
      const value = parse(await read());
      files.set(path, (files.get(path) ?? new Map<Parse, Kept>()).set(parse, { version, value }));
      return value;
    },
    remembered<T>(key: string, make: () => Promise<T>): Promise<T> {
      const known = listings.get(key) as Promise<T> | undefined;
      const listing = known ?? make();
      listings.set(key, listing);
      // What failed is tried again.
      listing.catch(() => listings.delete(key));
      return listing;
    },
    forget() {
      files.clear();
      listings.clear();
    },
  };
}

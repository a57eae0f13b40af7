/** The host of the machine that the agent runs on: the port put together from files, commands and accounts. */
import { accountId } from './accounts.ts';
import type { FileDeps } from './changes.ts';
import { runCommand } from './commands.ts';
import * as files from './files.ts';
import type { Host, Step } from './host.ts';
import * as removal from './removal.ts';

export type LocalHostOptions = {
  /** Called before each step of a change; what it throws cuts the change short there. For tests. */
  readonly step?: (step: Step, path: string) => void;
};

export function createLocalHost(options: LocalHostOptions = {}): Host {
  // Platforms without numeric users report 0 for every file.
  const self = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
  const step = options.step ?? (() => undefined);
  const deps: FileDeps = { self: self.uid, step };
  return {
    self,
    inspect: (place) => files.inspect(deps, place),
    digest: (place) => files.digest(deps, place),
    read: (place, maxBytes) => files.read(deps, place, maxBytes),
    probe: runCommand,
    userId: (account) => accountId('passwd', account),
    groupId: (account) => accountId('group', account),
    writeFile: (place, content, ownership) => files.writeFile(deps, place, content, ownership),
    makeDirectory: (place, ownership) => files.makeDirectory(deps, place, ownership),
    setDirectory: (place, ownership) => files.setDirectory(deps, place, ownership),
    writeSymlink: (place, target) => files.writeSymlink(deps, place, target),
    removeFile: (place) => removal.removeFile(deps, place),
    removeDirectory: (place, how) => removal.removeDirectory(deps, place, how),
    sweep: (place) => removal.sweep(deps, place),
    run(command) {
      step('run', command.argv[0]);
      return runCommand(command);
    },
  };
}

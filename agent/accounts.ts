/** Accounts: the numeric ids of users and groups, from the local files or, failing that, from the name service. */
import { quote } from './directories.ts';
import { type Command, type CommandResult, HostError, type HostView } from './host.ts';
import { parseGroup, parsePasswd } from './platform/account-files.ts';

const numeric = /^(?:0|[1-9][0-9]{0,9})$/;

/** useradd's own rule, without the trailing `$` of Samba: also keeps options and separators out of `getent`. */
const accountName = /^[A-Za-z_][A-Za-z0-9_.-]{0,31}$/;

const lookupMs = 10_000;

export type Database = 'passwd' | 'group';

export type AccountDeps = Pick<HostView, 'parsed'> & { probe(command: Command): Promise<CommandResult> };

/** The id of an account. As the files are now: an earlier resource of the run may have made it. */
export async function accountId(deps: AccountDeps, database: Database, account: string | number): Promise<number> {
  const name = String(account);
  if (numeric.test(name)) {
    return Number(name);
  }
  if (!accountName.test(name)) {
    throw unknown(database, name);
  }
  const place = { path: `/etc/${database}` };
  const local =
    database === 'passwd'
      ? (await deps.parsed(place, parsePasswd)).get(name)?.uid
      : (await deps.parsed(place, parseGroup)).get(name)?.gid;
  if (local !== undefined) {
    return local;
  }
  const found = await deps
    .probe({ argv: ['getent', database, name], signal: AbortSignal.timeout(lookupMs) })
    .catch(() => undefined);
  const id = found?.exitCode === 0 ? found.stdout.split(':')[2] : undefined;
  if (id === undefined || !numeric.test(id)) {
    throw unknown(database, name);
  }
  return Number(id);
}

function unknown(database: Database, name: string): HostError {
  const what = database === 'passwd' ? 'user' : 'group';
  return new HostError('unknown_account', `there is no ${what} ${quote(name)} on this machine`);
}

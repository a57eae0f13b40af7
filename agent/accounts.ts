/** Accounts: the numeric ids of users and groups, from the local files or, failing that, from the name service. */
import { readFile } from 'node:fs/promises';
import { runCommand } from './commands.ts';
import { quote } from './directories.ts';
import { HostError } from './host.ts';

const numeric = /^(?:0|[1-9][0-9]{0,9})$/;

/** useradd's own rule, without the trailing `$` of Samba: also keeps options and separators out of `getent`. */
const accountName = /^[A-Za-z_][A-Za-z0-9_.-]{0,31}$/;

const lookupMs = 10_000;

export type Database = 'passwd' | 'group';

/** The id of an account. Read anew each time: an earlier resource of the run may have made it. */
export async function accountId(database: Database, account: string | number): Promise<number> {
  const name = String(account);
  if (numeric.test(name)) {
    return Number(name);
  }
  if (!accountName.test(name)) {
    throw unknown(database, name);
  }
  const local = findId(await readFile(`/etc/${database}`, 'utf8').catch(() => ''), name);
  if (local !== undefined) {
    return local;
  }
  const found = await runCommand({ argv: ['getent', database, name], signal: AbortSignal.timeout(lookupMs) }).catch(
    () => undefined,
  );
  const id = found?.exitCode === 0 ? findId(found.output, name) : undefined;
  if (id === undefined) {
    throw unknown(database, name);
  }
  return id;
}

/** passwd(5) and group(5) alike: name, password, id, …, separated by colons. */
function findId(text: string, name: string): number | undefined {
  for (const line of text.split('\n')) {
    const [entry, , id] = line.split(':');
    if (entry === name && id !== undefined && numeric.test(id)) {
      return Number(id);
    }
  }
  return undefined;
}

function unknown(database: Database, name: string): HostError {
  const what = database === 'passwd' ? 'user' : 'group';
  return new HostError('unknown_account', `there is no ${what} ${quote(name)} on this machine`);
}

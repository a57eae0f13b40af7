/** Accounts in passwd, group and shadow, read from the files, and changed by the shadow suite's or busybox's tools. */
import { type Host, HostError, type HostView } from '../host.ts';
import { parseGroup, parsePasswd, parseShadow } from './account-files.ts';
import type { AccountStore, NewUser, UserFields } from './accounts-port.ts';
import { mustRun } from './command.ts';

type Reading = Pick<AccountStore, 'user' | 'group' | 'groupsOf' | 'passwordHash'>;

const reading: Reading = {
  user: async (host, name) => (await host.parsed({ path: '/etc/passwd' }, parsePasswd)).get(name),
  group: async (host, name) => (await host.parsed({ path: '/etc/group' }, parseGroup)).get(name),
  async groupsOf(host, user) {
    const groups = await host.parsed({ path: '/etc/group' }, parseGroup);
    return [...groups.values()]
      .filter(({ members }) => members.includes(user))
      .map(({ name }) => name)
      .sort();
  },
  passwordHash: async (host, user) => (await host.parsed({ path: '/etc/shadow' }, parseShadow)).get(user),
};

/** By standard input: an argument could be read by every user of the machine. */
async function setPasswordHash(host: Host, user: string, hash: string, signal: AbortSignal): Promise<void> {
  await mustRun(host, signal, { argv: ['chpasswd', '-e'], input: `${user}:${hash}\n` });
}

export const shadow: AccountStore = {
  tool: 'shadow',
  ...reading,
  setPasswordHash,
  async addUser(host, name, fields, signal) {
    const home = fields.createHome ? '--create-home' : '--no-create-home';
    const argv = [
      'useradd',
      home,
      ...(fields.isSystem ? ['--system'] : []),
      ...userOptions(fields, '--home-dir'),
      '--',
      name,
    ];
    await run(host, signal, argv);
  },
  changeUser: (host, name, fields, signal) =>
    run(host, signal, ['usermod', ...userOptions(fields, '--home'), '--', name]),
  removeUser: (host, name, signal) => run(host, signal, ['userdel', '--', name]),
  addGroup: (host, name, { gid, isSystem }, signal) =>
    run(host, signal, [
      'groupadd',
      ...(isSystem ? ['--system'] : []),
      ...(gid === undefined ? [] : ['--gid', String(gid)]),
      '--',
      name,
    ]),
  changeGroup: (host, name, gid, signal) => run(host, signal, ['groupmod', '--gid', String(gid), '--', name]),
  setMembers: (host, name, members, signal) => run(host, signal, ['gpasswd', '--members', members.join(','), name]),
  removeGroup: (host, name, signal) => run(host, signal, ['groupdel', '--', name]),
};

/** busybox has no way to change an account; it can add, remove, and put users into groups. */
export const busybox: AccountStore = {
  tool: 'busybox',
  ...reading,
  setPasswordHash,
  async addUser(host, name, fields, signal) {
    await run(host, signal, ['adduser', '-D', ...(await busyboxOptions(host, fields)), name]);
    for (const group of fields.groups ?? []) {
      await run(host, signal, ['addgroup', name, group]);
    }
  },
  async changeUser(host, name, { groups, ...fields }, signal) {
    if (Object.values(fields).some((value) => value !== undefined)) {
      throw noChange(`the user ${JSON.stringify(name)}`);
    }
    const now = await reading.groupsOf(host, name, signal);
    for (const group of (groups ?? []).filter((one) => !now.includes(one))) {
      await run(host, signal, ['addgroup', name, group]);
    }
    for (const group of now.filter((one) => groups?.includes(one) === false)) {
      await run(host, signal, ['delgroup', name, group]);
    }
  },
  removeUser: (host, name, signal) => run(host, signal, ['deluser', name]),
  addGroup: (host, name, { gid, isSystem }, signal) =>
    run(host, signal, [
      'addgroup',
      ...(isSystem ? ['-S'] : []),
      ...(gid === undefined ? [] : ['-g', String(gid)]),
      name,
    ]),
  async changeGroup(_host, name) {
    throw noChange(`the group ${JSON.stringify(name)}`);
  },
  async setMembers(host, name, members, signal) {
    const now = (await reading.group(host, name, signal))?.members ?? [];
    for (const member of members.filter((one) => !now.includes(one))) {
      await run(host, signal, ['addgroup', member, name]);
    }
    for (const member of now.filter((one) => !members.includes(one))) {
      await run(host, signal, ['delgroup', member, name]);
    }
  },
  removeGroup: (host, name, signal) => run(host, signal, ['delgroup', name]),
};

/** For useradd(8) and usermod(8) alike. */
function userOptions(fields: UserFields, homeOption: '--home-dir' | '--home'): readonly string[] {
  const { uid, gid, home, shell, comment, groups } = fields;
  return [
    ...(uid === undefined ? [] : ['--uid', String(uid)]),
    ...(gid === undefined ? [] : ['--gid', String(gid)]),
    ...(home === undefined ? [] : [homeOption, home]),
    ...(shell === undefined ? [] : ['--shell', shell]),
    ...(comment === undefined ? [] : ['--comment', comment]),
    ...(groups === undefined ? [] : ['--groups', groups.join(',')]),
  ];
}

async function busyboxOptions(host: HostView, fields: NewUser): Promise<readonly string[]> {
  const group = fields.gid === undefined ? undefined : await groupName(host, fields.gid);
  return [
    ...(fields.isSystem ? ['-S'] : []),
    ...(fields.createHome ? [] : ['-H']),
    ...(fields.uid === undefined ? [] : ['-u', String(fields.uid)]),
    ...(group === undefined ? [] : ['-G', group]),
    ...(fields.home === undefined ? [] : ['-h', fields.home]),
    ...(fields.shell === undefined ? [] : ['-s', fields.shell]),
    ...(fields.comment === undefined ? [] : ['-g', fields.comment]),
  ];
}

async function groupName(host: HostView, gid: number): Promise<string> {
  const groups = await host.parsed({ path: '/etc/group' }, parseGroup);
  const found = [...groups.values()].find((group) => group.gid === gid);
  if (found === undefined) {
    throw new HostError('unknown_account', `there is no group ${gid} on this machine`);
  }
  return found.name;
}

async function run(host: Host, signal: AbortSignal, argv: readonly string[]): Promise<void> {
  const [program, ...args] = argv;
  if (program === undefined) {
    throw new TypeError('A command has a program.');
  }
  await mustRun(host, signal, { argv: [program, ...args] });
}

function noChange(what: string): HostError {
  return new HostError('system', `busybox can't change ${what}: install the package "shadow"`);
}

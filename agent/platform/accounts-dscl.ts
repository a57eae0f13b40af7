/** Accounts of macOS: the local directory node, by dscl(1) and dseditgroup(8). Passwords are not kept as crypt hashes. */
import { type Host, HostError, type HostView } from '../host.ts';
import type { AccountStore, UserFields } from './accounts-port.ts';
import { mustRun } from './command.ts';

export const dscl: AccountStore = {
  tool: 'dscl',
  async user(host, name, signal) {
    const record = await read(host, `/Users/${name}`, signal);
    return record === undefined
      ? undefined
      : {
          name,
          uid: Number(record.get('UniqueID')),
          gid: Number(record.get('PrimaryGroupID')),
          comment: record.get('RealName') ?? '',
          home: record.get('NFSHomeDirectory') ?? '',
          shell: record.get('UserShell') ?? '',
        };
  },
  async group(host, name, signal) {
    const record = await read(host, `/Groups/${name}`, signal);
    const members = (record?.get('GroupMembership') ?? '').split(' ').filter((member) => member !== '');
    return record === undefined ? undefined : { name, gid: Number(record.get('PrimaryGroupID')), members };
  },
  async groupsOf(host, user, signal) {
    const { stdout } = await host.probe({ argv: ['dscl', '.', '-list', '/Groups', 'GroupMembership'], signal });
    return stdout
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter(([, ...members]) => members.includes(user))
      .map(([name]) => name ?? '')
      .sort();
  },
  async passwordHash() {
    throw noHashes();
  },
  async setPasswordHash() {
    throw noHashes();
  },
  async addUser(host, name, fields, signal) {
    if (fields.uid === undefined || fields.gid === undefined) {
      throw new HostError('system', 'macOS gives out no user ids by itself: uid and group are required');
    }
    await mustRun(host, signal, { argv: ['dscl', '.', '-create', `/Users/${name}`] });
    await setUser(host, name, fields, signal);
  },
  changeUser: setUser,
  removeUser: async (host, name, signal) => {
    await mustRun(host, signal, { argv: ['dscl', '.', '-delete', `/Users/${name}`] });
  },
  async addGroup(host, name, { gid }, signal) {
    const id = gid === undefined ? [] : ['-i', String(gid)];
    await mustRun(host, signal, { argv: ['dseditgroup', '-o', 'create', ...id, name] });
  },
  async changeGroup(host, name, gid, signal) {
    await mustRun(host, signal, { argv: ['dscl', '.', '-create', `/Groups/${name}`, 'PrimaryGroupID', String(gid)] });
  },
  async setMembers(host, name, members, signal) {
    const now = (await dscl.group(host, name, signal))?.members ?? [];
    for (const member of members.filter((one) => !now.includes(one))) {
      await editMember(host, '-a', member, name, signal);
    }
    for (const member of now.filter((one) => !members.includes(one))) {
      await editMember(host, '-d', member, name, signal);
    }
  },
  removeGroup: async (host, name, signal) => {
    await mustRun(host, signal, { argv: ['dseditgroup', '-o', 'delete', name] });
  },
};

async function setUser(host: Host, name: string, fields: UserFields, signal: AbortSignal): Promise<void> {
  const values = {
    UniqueID: fields.uid,
    PrimaryGroupID: fields.gid,
    NFSHomeDirectory: fields.home,
    UserShell: fields.shell,
    RealName: fields.comment,
  };
  for (const [key, value] of Object.entries(values)) {
    if (value !== undefined) {
      await mustRun(host, signal, { argv: ['dscl', '.', '-create', `/Users/${name}`, key, String(value)] });
    }
  }
  if (fields.groups !== undefined) {
    const now = await dscl.groupsOf(host, name, signal);
    for (const group of fields.groups.filter((one) => !now.includes(one))) {
      await editMember(host, '-a', name, group, signal);
    }
    for (const group of now.filter((one) => fields.groups?.includes(one) === false)) {
      await editMember(host, '-d', name, group, signal);
    }
  }
}

async function editMember(host: Host, how: '-a' | '-d', user: string, group: string, signal: AbortSignal) {
  await mustRun(host, signal, { argv: ['dseditgroup', '-o', 'edit', how, user, '-t', 'user', group] });
}

/** `Key: value`, or `Key:` and the value on the next line, indented by a space, when it has spaces itself. */
async function read(
  host: HostView,
  path: string,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string> | undefined> {
  const { exitCode, stdout } = await host.probe({ argv: ['dscl', '.', '-read', path], signal });
  if (exitCode !== 0) {
    return undefined;
  }
  const record = new Map<string, string>();
  let key = '';
  for (const line of stdout.split('\n')) {
    const field = /^([A-Za-z_:]+):(?: (.*))?$/.exec(line);
    if (field !== null && !line.startsWith(' ')) {
      key = field[1] ?? '';
      record.set(key, field[2] ?? '');
    } else if (line.startsWith(' ')) {
      record.set(key, `${record.get(key) ?? ''}${line.slice(1)}`);
    }
  }
  return record;
}

function noHashes(): HostError {
  return new HostError('system', 'macOS keeps no crypt hashes: leave password_hash out');
}

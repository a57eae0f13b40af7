/** Programs that change users, groups and their passwords. */
import { isSystemGroup, isSystemUser } from '../protected-names.ts';
import { type Call, programOf, readOptions, reportCall } from '../shell/call.ts';
import { hole, plain } from '../shell/marks.ts';
import { contentOf } from '../shell/redirect.ts';
import { judgeWrite } from '../shell/write.ts';
import type { Judge, Judges } from './judge.ts';

function users(call: Call, names: readonly string[]): void {
  for (const name of names) if (isSystemUser(plain(name))) reportCall(call, 'G0407', name);
}

function groups(call: Call, names: readonly string[]): void {
  for (const name of names) if (isSystemGroup(plain(name))) reportCall(call, 'G0407', name);
}

const userdel: Judge = (call) => {
  const { operands, flags } = readOptions(call.argv.slice(1), [
    '-R',
    '-P',
    '--root',
    '--prefix',
    '--backup-to',
    '--group',
  ]);
  // `deluser name group` takes one out of a group.
  const isDeluser = programOf(call.argv[0] ?? '') === 'deluser';
  if (isDeluser && operands.length > 1) {
    if (plain(operands[0] ?? '') === 'root') reportCall(call, 'G0407', operands[0]);
  } else if (flags.has('--group')) groups(call, operands);
  else users(call, operands);
};

const groupdel: Judge = (call) => groups(call, readOptions(call.argv.slice(1), ['-R', '-P']).operands);

const passwd: Judge = (call) => {
  const { operands, flags } = readOptions(call.argv.slice(1), [
    '-n',
    '-x',
    '-w',
    '-i',
    '-R',
    '--mindays',
    '--maxdays',
    '--warndays',
  ]);
  const isLock = ['-l', '-d', '-e', '--lock', '--delete', '--expire'].some((flag) => flags.has(flag));
  if (isLock) users(call, operands.length === 0 ? ['root'] : operands);
  else if (
    /^(?:root)?$/.test(plain(operands[0] ?? '')) &&
    !flags.has('-S') &&
    !flags.has('--status') &&
    operands.length > 0 &&
    call.frame.stdin !== ''
  )
    reportCall(call, 'G0407', 'root');
};

const usermod: Judge = (call) => {
  const { operands, flags, values } = readOptions(call.argv.slice(1), [
    '-c',
    '-d',
    '-e',
    '-f',
    '-g',
    '-G',
    '-l',
    '-p',
    '-s',
    '-u',
    '-R',
    '-Z',
    '--comment',
    '--home',
    '--expiredate',
    '--inactive',
    '--gid',
    '--groups',
    '--login',
    '--password',
    '--shell',
    '--uid',
  ]);
  const shell = plain(values.get('-s') ?? values.get('--shell') ?? '');
  const changes = [
    '-L',
    '--lock',
    '-l',
    '--login',
    '-u',
    '--uid',
    '-e',
    '--expiredate',
    '-d',
    '--home',
    '-p',
    '--password',
    '-g',
    '--gid',
  ].some((flag) => flags.has(flag));
  const group = plain(values.get('-g') ?? values.get('--gid') ?? '');
  const isOwnGroup = /^(?:0|root)$/.test(group) && flags.size === 1;
  if ((changes && !isOwnGroup) || /nologin|false|\/(?:true|sync)$/.test(shell)) {
    for (const name of operands)
      if (/^(?:root|0)$/.test(plain(name)) || (flags.has('-l') && isSystemUser(plain(name))))
        reportCall(call, 'G0407', name);
  }
  if (/^0+$/.test(plain(values.get('-u') ?? values.get('--uid') ?? ''))) reportCall(call, 'G0108', operands[0]);
  const groups = plain(values.get('-G') ?? values.get('--groups') ?? '');
  if (
    operands.some((one) => /^(?:nobody|daemon|www-data|apache|nginx|http|mail|ftp|games)$/.test(plain(one))) &&
    /(?:^|,)(?:sudo|wheel|root|disk|shadow)(?:,|$)/.test(groups)
  )
    reportCall(call, 'G0108', operands[0]);
};

const useradd: Judge = (call) => {
  const { values, operands } = readOptions(call.argv.slice(1), [
    '-u',
    '-g',
    '-G',
    '-d',
    '-s',
    '-c',
    '-p',
    '-e',
    '-f',
    '-k',
    '-K',
    '--uid',
    '--gid',
    '--home',
    '--shell',
    '--groups',
    '--home-dir',
    '--ingroup',
    '--gecos',
    '--comment',
    '--password',
  ]);
  if (/^0+$/.test(plain(values.get('-u') ?? values.get('--uid') ?? ''))) reportCall(call, 'G0108', operands[0]);
};

/** Lines as in `passwd`, with the password in them. */
const newusers: Judge = (call) => {
  const file = call.argv.slice(1).find((arg) => !plain(arg).startsWith('-'));
  const text = plain(file === undefined ? call.frame.stdin : contentOf(call.frame, file));
  for (const line of text.split('\n')) if (/^[^:]+:[^:]*:0+:/.test(line)) reportCall(call, 'G0108', line.split(':')[0]);
};

const chsh: Judge = (call) => {
  const { operands, values } = readOptions(call.argv.slice(1), ['-s', '--shell']);
  if (
    /nologin|false/.test(plain(values.get('-s') ?? values.get('--shell') ?? '')) &&
    (operands.length === 0 || operands.some((one) => plain(one) === 'root'))
  )
    reportCall(call, 'G0407', 'root');
};

const chage: Judge = (call) => {
  const { operands, flags, values } = readOptions(call.argv.slice(1), [
    '-d',
    '-E',
    '-I',
    '-m',
    '-M',
    '-W',
    '--lastday',
    '--expiredate',
    '--inactive',
  ]);
  const expires = plain(values.get('-E') ?? values.get('--expiredate') ?? '-1');
  if (
    !flags.has('-l') &&
    operands.some((one) => plain(one) === 'root') &&
    (expires !== '-1' || plain(values.get('-d') ?? '1') === '0')
  )
    reportCall(call, 'G0407', 'root');
};

const chpasswd: Judge = (call) => {
  if (/^root:/m.test(plain(call.frame.stdin))) reportCall(call, 'G0407', 'root');
};

const gpasswd: Judge = (call) => {
  const { operands, values, flags } = readOptions(call.argv.slice(1), ['-d', '-a', '-A', '-M', '--delete', '--add']);
  const user = plain(values.get('-d') ?? values.get('--delete') ?? '');
  if (user === 'root') reportCall(call, 'G0407', user);
  const added = plain(values.get('-a') ?? values.get('--add') ?? '');
  // Programs that strangers talk to run under these names.
  if (
    /^(?:nobody|daemon|www-data|apache|nginx|http|mail|ftp|games)$/.test(added) &&
    operands.some((one) => /^(?:sudo|wheel|root|disk|shadow)$/.test(plain(one)))
  )
    reportCall(call, 'G0108', added);
  if (flags.has('-M') && operands.some((one) => /^(?:sudo|wheel|root)$/.test(plain(one))))
    reportCall(call, 'G0407', operands[0]);
};

const vipw: Judge = (call) => {
  if (call.frame.stdin !== '' || call.environment?.has('EDITOR') === true || call.environment?.has('VISUAL') === true)
    judgeWrite(call.frame, '/etc/passwd', {
      isAppend: true,
      content: hole,
      offset: call.offset,
      excerpt: call.excerpt,
    });
};

const visudo: Judge = (call) => {
  const editor = call.environment?.get('EDITOR') ?? call.environment?.get('VISUAL');
  if (editor !== undefined && !/^(?:vi|vim|nano|emacs|ed)$/.test(plain(editor)))
    judgeWrite(call.frame, '/etc/sudoers', {
      isAppend: true,
      content: hole,
      offset: call.offset,
      excerpt: call.excerpt,
    });
};

export const accountJudges: Judges = {
  userdel,
  deluser: userdel,
  groupdel,
  delgroup: groupdel,
  passwd,
  usermod,
  useradd,
  adduser: useradd,
  newusers,
  chsh,
  chage,
  chpasswd,
  gpasswd,
  vipw,
  vigr: vipw,
  visudo,
};

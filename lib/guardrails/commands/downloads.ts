/** Programs that download: where they put what nobody has seen. */
import { normalizePath } from '../paths.ts';
import { type Call, programOf, readOptions } from '../shell/call.ts';
import { downloaded, hole, plain } from '../shell/marks.ts';
import { judgePlace } from '../shell/places.ts';
import { contentOf } from '../shell/redirect.ts';
import { judgeWrite } from '../shell/write.ts';
import type { Judge, Judges } from './judge.ts';

function write(call: Call, path: string): void {
  judgeWrite(call.frame, path, {
    isAppend: false,
    content: `${hole}${downloaded}`,
    offset: call.offset,
    excerpt: call.excerpt,
    isPrepared: true,
  });
}

const curl: Judge = (call) => {
  const args = call.argv.slice(1).map(plain);
  const { values } = readOptions(
    call.argv.slice(1),
    [
      '-o',
      '--output',
      '-O',
      '--output-document',
      '-H',
      '-d',
      '-u',
      '-x',
      '-X',
      '-A',
      '-m',
      '-w',
      '--max-time',
      '--retry',
      '-T',
      '-F',
      '-b',
      '-c',
      '-e',
      '--connect-timeout',
      '--header',
      '--data',
      '-P',
      '-t',
      '--dir',
      '--output-dir',
      '--directory-prefix',
      '-U',
      '--tries',
      '--timeout',
    ]
      .filter((option) => option !== '-O' || programOf(call.argv[0] ?? '') === 'wget')
      .filter((option) => option !== '-o' || programOf(call.argv[0] ?? '') !== 'wget'),
  );
  const settings = args.findIndex((arg) => /^(?:-[a-zA-Z]*K|--config)$/.test(arg));
  if (settings >= 0 && programOf(call.argv[0] ?? '') === 'curl') {
    const file = args[settings + 1] ?? '-';
    const text = plain(file === '-' ? call.frame.stdin : contentOf(call.frame, file));
    for (const [, path = ''] of text.matchAll(/^\s*(?:-o|-{0,2}output)[\s=:]+"?([^"\n]+?)"?\s*$/gm)) write(call, path);
  }
  const url = call.argv.slice(1).findLast((arg) => !plain(arg).startsWith('-')) ?? '';
  const named = values.get('-o') ?? values.get('--output') ?? values.get('-O') ?? values.get('--output-document');
  const base = plain(url)
    .replace(/[?#].*$/, '')
    .replace(/^.*\//, '');
  const place = named === undefined ? base : named;
  if (place === '' || plain(place) === '-') return;
  const directory = values.get('-P') ?? values.get('--directory-prefix') ?? values.get('--output-dir');
  const path = directory === undefined || plain(place).startsWith('/') ? place : `${plain(directory)}/${plain(place)}`;
  const isSaved =
    programOf(call.argv[0] ?? '') !== 'curl' || args.some((arg) => /^-[a-zA-Z]*[OJ]|^--remote-/.test(arg));
  if (named !== undefined || (isSaved && judgePlace(call.frame, path, 'replace') !== undefined))
    write(call, named === undefined || programOf(call.argv[0] ?? '') === 'curl' ? path : place);
  else {
    call.frame.scan.files.set(normalizePath(path, call.frame.scope.cwd), `${hole}${downloaded}`);
  }
};

/** From another machine to this one: `scp HOST:FILE HERE`. */
const fetched: Judge = (call) => {
  const { operands } = readOptions(call.argv.slice(1), [
    '-i',
    '-P',
    '-o',
    '-F',
    '-c',
    '-l',
    '-S',
    '-J',
    '-e',
    '--rsh',
    '--exclude',
    '--include',
    '--filter',
    '-f',
    '-b',
  ]);
  const sources = operands.slice(0, -1);
  const target = plain(operands.at(-1) ?? '');
  if (target === '' || /^[^/]*:/.test(target)) return;
  for (const source of sources.map(plain)) {
    const [, name] = /^(?:[^/]*::?|\w+:\/\/\S*\/)(?:.*\/)?([^/]+)$/.exec(source) ?? [];
    if (name === undefined || source.startsWith('/')) continue;
    const { cwd } = call.frame.scope;
    for (const path of [target, `${target.replace(/\/+$/, '')}/${name}`])
      call.frame.scan.files.set(normalizePath(path, cwd), `${hole}${downloaded}`);
  }
};

/** `aria2c -o`, `http --download`, `lwp-download URL FILE`, `tftp -g -l FILE`, `ftpget HOST FILE`, `fetch -o`, `axel -o`. */
const saved: Judge = (call) => {
  const { values, operands } = readOptions(call.argv.slice(1), [
    '-o',
    '-l',
    '-r',
    '-d',
    '-O',
    '--out',
    '--dir',
    '--output',
    '-c',
  ]);
  const named =
    values.get('-o') ?? values.get('--out') ?? values.get('--output') ?? values.get('-O') ?? values.get('-l');
  const url = plain(operands.find((one) => /^\w+:\/\//.test(plain(one))) ?? '');
  const directory = values.get('-d') ?? values.get('--dir');
  const base = url.replace(/[?#].*$/, '').replace(/^.*\//, '');
  const place =
    named ?? (/^lwp-download|^ftpget/.test(programOf(call.argv[0] ?? '')) ? operands[1] : undefined) ?? base;
  if (plain(place) !== '' && plain(place) !== '-')
    write(call, directory === undefined ? place : `${plain(directory)}/${plain(place)}`);
};

export const downloadJudges: Judges = {
  curl,
  wget: curl,
  wget2: curl,
  scp: fetched,
  rsync: fetched,
  sftp: fetched,
  ...Object.fromEntries(
    'aria2c axel fetch http https lwp-download ftpget tftp'.split(' ').map((name) => [name, saved]),
  ),
};

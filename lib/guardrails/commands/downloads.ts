/** Programs that download: where they put what nobody has seen. */
import { normalizePath } from '../paths.ts';
import { programOf, readOptions } from '../shell/call.ts';
import { hole, plain } from '../shell/marks.ts';
import { judgeWrite } from '../shell/write.ts';
import type { Judge, Judges } from './judge.ts';

const curl: Judge = (call) => {
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
      '-U',
      '--tries',
      '--timeout',
    ]
      .filter((option) => option !== '-O' || programOf(call.argv[0] ?? '') === 'wget')
      .filter((option) => option !== '-o' || programOf(call.argv[0] ?? '') !== 'wget'),
  );
  const url = call.argv.slice(1).findLast((arg) => !plain(arg).startsWith('-')) ?? '';
  const named = values.get('-o') ?? values.get('--output') ?? values.get('-O') ?? values.get('--output-document');
  const base = plain(url)
    .replace(/[?#].*$/, '')
    .replace(/^.*\//, '');
  const place = named === undefined ? base : named;
  if (place === '' || plain(place) === '-') return;
  const downloadedText = `${hole}\ue009`;
  if (named !== undefined)
    judgeWrite(call.frame, place, {
      isAppend: false,
      content: downloadedText,
      offset: call.offset,
      excerpt: call.excerpt,
      isPrepared: true,
    });
  else {
    const directory = values.get('-P') ?? values.get('--output-dir');
    const path = directory === undefined ? place : `${directory}/${plain(place)}`;
    call.frame.scan.files.set(normalizePath(path, call.frame.scope.cwd), downloadedText);
  }
};

export const downloadJudges: Judges = { curl, wget: curl };

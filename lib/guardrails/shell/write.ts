/** Writes: what a command puts into a file, judged by the file and by what is put there. */
import { judgePath } from '../judge-path.ts';
import { normalizePath } from '../paths.ts';
import { isAbsent } from './guards.ts';
import { isRunLater, laterCode, removedBy } from './later.ts';
import { resolved } from './links.ts';
import { decoded, downloaded, hole, plain, withoutGlobs } from './marks.ts';
import { judgePlace } from './places.ts';
import { type Frame, limits, report } from './scan.ts';
import { judgeSettings } from './settings.ts';

export type WriteOptions = {
  readonly isAppend: boolean;
  /** As far as known. */
  readonly content: string;
  readonly offset: number;
  readonly excerpt: string;
  /** The content was prepared elsewhere, as by `cp` or `install`: there is some. */
  readonly isPrepared?: boolean;
};

/** Judges the write, and remembers the content for when it is run, read or sourced. */
export function judgeWrite(frame: Frame, path: string, options: WriteOptions): void {
  const { isAppend, content, offset, excerpt, isPrepared } = options;
  const action = isAppend ? 'edit' : isPrepared === true || isSubstantial(content) ? 'replace' : 'empty';
  const place = resolved(frame, path, action);
  const judged = judgePlace(frame, place, action);
  if (judged !== undefined && !isAbsent(frame, place)) {
    report(frame, judged.rule, { offset, excerpt, detail: judged.protectedPath, verdict: judged.verdict });
  }
  const name = normalizePath(withoutGlobs(plain(place)), frame.scope.cwd);
  frame.scan.readers.get(name)?.(content);
  judgeContent(frame, name, options);
  const before = isAppend ? (frame.scan.files.get(name) ?? '') : '';
  if (frame.scan.files.size < 200) frame.scan.files.set(name, (before + content).slice(0, limits.valueLength));
}

/** More than a line, or not known: a whole new version rather than an accident. */
function isSubstantial(content: string): boolean {
  return plain(content).trim().split('\n').length > 1 || content.includes(hole);
}

/** What a job, a login or a unit will run later is judged now. */
function judgeContent(frame: Frame, path: string, { content, offset, excerpt }: WriteOptions): void {
  const text = plain(content);
  const at = frame.at ?? { offset, line: 1, column: 1 };
  const inner = { ...frame, at: frame.at ?? lineAt(frame, at.offset), stdin: hole };
  const run = (code: string) =>
    frame.scan.runText(code, { ...inner, scope: { ...frame.scope, variables: new Map(frame.scope.variables) } });
  judgeSettings(frame, path, { content, offset, excerpt });
  if (content.includes(downloaded) && isRunLater(path)) {
    report(frame, 'G0604', { offset, excerpt, detail: path });
    return;
  }
  if (content.includes(decoded) || text.replaceAll(hole, '').trim() === '') return;
  for (const code of laterCode(path, content)) run(code);
  for (const { path: removed, isTree } of removedBy(path, content)) {
    const judged = judgePath(removed, isTree ? 'remove tree' : 'remove');
    if (judged !== undefined)
      report(frame, judged.rule, { offset, excerpt, detail: judged.protectedPath, verdict: judged.verdict });
  }
}

function lineAt(frame: Frame, offset: number) {
  const before = frame.source.text.slice(0, offset);
  return { offset, line: before.split('\n').length, column: offset - before.lastIndexOf('\n') };
}

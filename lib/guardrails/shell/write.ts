/** Writes: what a command puts into a file, judged by the file and by what is put there. */
import { normalizePath } from '../paths.ts';
import { decoded, downloaded, hole, plain, withoutGlobs } from './marks.ts';
import { judgePlace } from './places.ts';
import { type Frame, limits, report } from './scan.ts';

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
  const judged = judgePlace(frame, path, action);
  if (judged !== undefined) {
    report(frame, judged.rule, { offset, excerpt, detail: judged.protectedPath, verdict: judged.verdict });
  }
  const name = normalizePath(withoutGlobs(plain(path)), frame.scope.cwd);
  judgeContent(frame, name, options);
  const before = isAppend ? (frame.scan.files.get(name) ?? '') : '';
  if (frame.scan.files.size < 200) frame.scan.files.set(name, (before + content).slice(0, limits.valueLength));
}

/** More than a line, or not known: a whole new version rather than an accident. */
function isSubstantial(content: string): boolean {
  return plain(content).trim().split('\n').length > 1 || content.includes(hole);
}

const jobTable = /^\/etc\/(?:crontab|cron\.d\/[^/]+)$/;
const userJobTable = /^\/var\/spool\/cron\/(?:crontabs\/)?[^/]+$/;
/** Settings of the SSH server by which nobody gets in any more. */
const locksOut =
  /^[ \t]*(?:Deny(?:Users|Groups)[ \t=]+(?:\S+[ \t]+)*["']?\*["']?(?:\s|$)|ListenAddress[ \t=]+(?:127\.|::1|localhost)|MaxSessions[ \t=]+0\b|Port[ \t=]+0\b)/im;
const script =
  /^\/etc\/(?:cron\.(?:hourly|daily|weekly|monthly)\/|rc\.local$|init\.d\/|profile\.d\/|profile$|bash\.bashrc$|network\/if-)|^\/(?:root|home\/[^/]+)\/\.(?:bashrc|profile|bash_profile|zshrc|bash_login|bash_logout)$/;
const unit = /^\/etc\/systemd\/system\/.+\.(?:service|timer|conf)$|^\/lib\/systemd\/system\/.+\.service$/;

/** What a job, a login or a unit will run later is judged now. */
function judgeContent(frame: Frame, path: string, { content, offset, excerpt }: WriteOptions): void {
  const text = plain(content);
  const at = frame.at ?? { offset, line: 1, column: 1 };
  const inner = { ...frame, at: frame.at ?? lineAt(frame, at.offset), stdin: hole };
  const lines = text.split('\n').filter((line) => line.trim() !== '' && !/^\s*#/.test(line));
  const run = (code: string) =>
    frame.scan.runText(code, { ...inner, scope: { ...frame.scope, variables: new Map(frame.scope.variables) } });
  if (/^\/etc\/sudoers(?:\.d\/|$)/.test(path) && /^\s*ALL\s+ALL\s*=/m.test(text)) {
    report(frame, 'G0108', { offset, excerpt, detail: path });
  }
  if (/^\/etc\/ssh\/sshd_config(?:$|\.d\/)/.test(path) && locksOut.test(text))
    report(frame, 'G0402', { offset, excerpt, detail: path });
  if (path === '/etc/hosts.deny' && /^\s*(?:ALL|sshd)\s*:\s*ALL\b/m.test(text))
    report(frame, 'G0402', { offset, excerpt, detail: path });
  if (jobTable.test(path)) for (const line of lines) runJob(line, run, /^\s*(?:@\w+|(?:\S+\s+){4}\S+)\s+\S+\s+(.+)$/);
  else if (userJobTable.test(path)) for (const line of lines) runJob(line, run, jobPattern);
  else if (
    script.test(path) &&
    !content.includes(downloaded) &&
    !content.includes(decoded) &&
    text.replaceAll(hole, '').trim() !== ''
  )
    run(text);
  else if (unit.test(path)) {
    for (const line of lines) {
      const command = /^\s*Exec\w+\s*=\s*[-@:+!]*(.+)$/.exec(line)?.[1];
      if (command !== undefined && !/\$\{?MAINPID/.test(command)) run(command.replaceAll('%%', '%'));
    }
  }
}

/** A line of `crontab`: five fields or a nickname, then the command. */
export const jobPattern = /^\s*(?:@\w+|(?:\S+\s+){4}\S+)\s+(.+)$/;

export function runJob(line: string, run: (code: string) => string, pattern: RegExp): void {
  const command = pattern.exec(line)?.[1];
  if (command !== undefined && !/^\s*\w+\s*=/.test(line))
    run(command.replace(/(?<!\\)%[\s\S]*$/, '').replaceAll('\\%', '%'));
}

function lineAt(frame: Frame, offset: number) {
  const before = frame.source.text.slice(0, offset);
  return { offset, line: before.split('\n').length, column: offset - before.lastIndexOf('\n') };
}

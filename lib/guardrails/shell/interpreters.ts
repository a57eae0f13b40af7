/**
 * Interpreters: code in another language, given in an argument or on the standard input. It isn't parsed: its string
 * literals are read, joined and decoded, and judged as the commands and paths that they would be. Where such code
 * builds what it runs, that is unknown.
 */
import { type Call, readOptions, reportCall, reportDownloaded, touch } from './call.ts';
import { decodeEscapes } from './escapes.ts';
import { decoded, downloaded, hasHole, hole, plain, withGlobs, withoutGlobs } from './marks.ts';
import { contentOf } from './redirect.ts';
import { runCode } from './shells.ts';

export const interpreters: ReadonlySet<string> = new Set([
  'python',
  'pypy',
  'perl',
  'ruby',
  'node',
  'nodejs',
  'php',
  'lua',
  'luajit',
  'tclsh',
  'awk',
  'gawk',
  'mawk',
  'nawk',
  'osascript',
  'deno',
  'bun',
  'Rscript',
  'julia',
  'pwsh',
  'irb',
  'jrunscript',
  'guile',
  'gcc',
  'vim',
  'vi',
  'ex',
  'nvim',
  'emacs',
  'ed',
]);

/** Options whose value is code, for all of them. */
const codeOptions = ['-c', '-e', '-E', '-r', '-p', '-n', '--eval', '--print', '-cmd', '-W'];

export function runInterpreter(call: Call, program: string): void {
  const args = call.argv.slice(1);
  const codes: string[] = [];
  if (/^[gmn]?awk$/.test(program)) {
    const { values, operands } = readOptions(args, ['-F', '-v', '-f', '-e', '--source']);
    if (!values.has('-f')) codes.push(values.get('-e') ?? operands[0] ?? '');
  } else {
    args.forEach((arg, i) => {
      const text = plain(arg);
      const isCode =
        codeOptions.includes(text) ||
        (/^-[a-zA-Z0-9]*[ceErp]$/.test(text) && !/^-[a-zA-Z0-9]*\d$/.test(text)) ||
        /^-[a-z0-9]+e$/i.test(text);
      if (isCode && args[i + 1] !== undefined) codes.push(args[i + 1] ?? '');
      else if (/^--(?:eval|print|command)=/.test(text)) codes.push(text.slice(text.indexOf('=') + 1));
      else if (/^\+:?!|^-c:?!/.test(text)) codes.push(`system("${text.replace(/^[+:!c-]+/, '')}")`);
    });
    const file = args.find((arg) => !plain(arg).startsWith('-'));
    const readsInput =
      codes.length === 0 &&
      (file === undefined || plain(file) === '-' || plain(file) === '/dev/stdin') &&
      !args.some((arg) => plain(arg) === '-m' || /^--?(?:version|help|V|v)$/.test(plain(arg)));
    if (readsInput && call.frame.stdin !== '') codes.push(call.frame.stdin);
    else if (codes.length === 0 && file !== undefined) codes.push(...fileCode(call, file));
  }
  if (/^(?:perl|ruby)$/.test(program) && args.some((arg) => /^-\w*i/.test(plain(arg)))) {
    for (const arg of args) if (plain(arg).startsWith('/')) touch(call, arg, 'edit');
  }
  for (const code of codes) {
    judgeCode(call, code);
    if (program === 'tclsh')
      for (const [, command] of plain(code).matchAll(/\bexec\s+([^\n;\]]+)/g)) runCode(call, command ?? '');
  }
}

function fileCode(call: Call, file: string): string[] {
  const content = contentOf(call.frame, file);
  if (content === hole) return [];
  if (content.includes(downloaded) && !/^\/dev\/fd\//.test(plain(file))) {
    reportDownloaded(call, file);
    return [];
  }
  return [content];
}

const starts =
  /\b(?:system|popen\d?|exec[lv]?[pe]*|execSync|execFile(?:Sync)?|spawn(?:Sync|[lv]p?e?)?|subprocess|check_(?:call|output)|getoutput|shell_exec|passthru|proc_open|pcntl_exec|child_process|Open3|qx|os\.execute|io\.popen|IO\.popen|Popen|Process|call|run|do shell script|pty|posix_spawn|syscall|shell-command|call-process)\b|`|%x[[({]|\|\s*(?:getline|&)|\|\s*["']|["']\s*\|\s*(?:\S*\/)?\w*sh\b|!\s*\w/;
const removes =
  /\b(?:rmtree|rmdir(?:Sync|s)?|removedirs|unlink(?:Sync)?|remove(?:_tree|_entry|_dir)?|rm(?:Sync|_rf|_r|_f)?|remove_entry_secure|delete(?:-directory|-file)?|rimraf|truncate(?:Sync)?|FileUtils|move|rename(?:Sync)?|chmod(?:Sync|_R)?|chown(?:Sync|_R)?|lchown|symlink)\b/;
const writes =
  /\b(?:open|fopen|file_put_contents|writeFile(?:Sync)?|appendFile(?:Sync)?|createWriteStream|write_text|write_bytes|File\.(?:write|open)|IO\.write|sysopen|copyfile|print\s*>)\b|>\s*["']/;
const builds =
  /\b(?:b64decode|decode_base64|urlsafe_b64decode|atob|fromhex|unhexlify|a2b_\w+|unpack|pack|decode64|base64_decode|str_rot13|gzinflate|gzuncompress|rot13|fromCharCode|decompress|marshal|codecs)\b|Buffer\.from\([^)]*['"](?:base64|hex)['"]/;
const evaluates =
  /\b(?:eval|exec|compile|__import__|getattr|globals|Function|assert|create_function|instance_eval|class_eval|require|send|runInThisContext|import_module|system|load)\b/;
/** What gets at a function without naming it. */
const hides = /\b(?:getattr|__import__|globals|eval|send)\b/;
const fetches =
  /\b(?:urlopen|urlretrieve|requests\.get|http\.get|https\.get|fetch|file_get_contents\(['"]https?|open-uri|LWP|Net::HTTP|URI\.open|httpx?)\b/;
const sockets =
  /\b(?:socket|fsockopen|connect\(\d+|require\(['"](?:net|tls)['"]|TCPSocket|Socket|net\.connect|net\.Socket|createConnection|IO::Socket)\b/;

/** Judges code by what is written in it. Attacker-controlled. */
export function judgeCode(call: Call, code: string): void {
  if (code.includes(downloaded)) reportCall(call, 'G0501');
  else if (code.includes(decoded)) reportCall(call, 'G0502');
  const text = withoutGlobs(plain(code));
  if (text.replaceAll(hole, '').trim() === '') {
    if (text !== '' && !code.includes(downloaded) && !code.includes(decoded)) reportCall(call, 'G0602');
    return;
  }
  const calm = folded(text.replace(/(^|\s)#(?!\{).*$/gm, '$1'));
  if (
    sockets.test(calm) &&
    /dup2|\/bin\/(?:ba|da|z)?sh|pty\.spawn|\bsh\b\s*-i|STDIN->fdopen|\["(?:ba)?sh"|'(?:ba)?sh'/.test(calm)
  )
    reportCall(call, 'G0503');
  if (
    /fork\s*(?:\(\s*\))?\s*(?:while|until|for)|(?:while|until|for|loop)\b[^;]{0,40}\bfork\b|fork\(\)[^;]{0,12}while/.test(
      calm,
    ) &&
    !/wait/.test(calm)
  )
    reportCall(call, 'G0302');
  if (builds.test(calm) && evaluates.test(calm) && (starts.test(calm) || /\b(?:eval|exec)\b/.test(calm)))
    reportCall(call, 'G0502');
  if (fetches.test(calm) && /\b(?:eval|exec|system)\b\s*\(?/.test(calm) && /\b(?:eval|exec)\b/.test(calm))
    reportCall(call, 'G0501');
  const literals = literalsOf(calm);
  const isDynamic = evaluates.test(calm);
  if (starts.test(calm) || isDynamic) judgeStarted(call, calm, literals);
  if (isDynamic) {
    for (const { value } of literals) if (value.includes('(') && value.length < text.length) judgeCode(call, value);
  }
  if (/\/inet\/(?:tcp|udp)\//.test(calm)) reportCall(call, 'G0503');
  if (removes.test(calm) || hides.test(calm))
    for (const { value } of literals)
      if (value.startsWith('/'))
        touch(
          call,
          /\bglob\b/.test(calm) ? withGlobs(value) : value,
          /tree|rm_r|glob|recursive|rimraf|remove_entry|_R\b|rm\b|walk|rmdir|delete-directory/.test(calm)
            ? 'remove tree'
            : 'remove',
        );
  if (writes.test(calm)) judgeWritten(call, calm, literals);
  if (
    /\bkill\b[^;]{0,20}-\s*1\b|\bkill\(\s*1\s*,/.test(calm) &&
    /\bkill\b\s*\(?\s*(?:-9|9|-1|1|['"](?:KILL|9))/.test(calm)
  )
    reportCall(call, 'G0303');
  if (/\bLINUX_REBOOT|\breboot\s*\(/.test(calm)) reportCall(call, 'G0301');
}

/** With `chr` calls and word lists written as the string literals that they are. */
function folded(code: string): string {
  return code
    .replace(/\bchr\s*\(?\s*(\d{1,3}|0x[0-9a-f]{1,2})\s*\)?/gi, (_, number: string) =>
      JSON.stringify(String.fromCharCode(Number(number))),
    )
    .replace(/\bqw\s*(?:\(([^)]*)\)|\{([^}]*)\}|\[([^\]]*)\])/g, (_, ...groups: (string | undefined)[]) =>
      (groups.slice(0, 3).find((group) => group !== undefined) ?? '')
        .trim()
        .split(/\s+/)
        .map((word) => JSON.stringify(word))
        .join(', '),
    )
    .replace(/\bString\.fromCharCode\(([\d,\s]+)\)/g, (_, list: string) =>
      JSON.stringify(
        list
          .split(',')
          .map((one) => String.fromCharCode(Number(one)))
          .join(''),
      ),
    );
}

type Literal = { readonly value: string; readonly start: number; readonly end: number };

/** The string literals, with adjacent, added and dotted ones joined. */
function literalsOf(text: string): Literal[] {
  const found: Literal[] = [];
  const pattern =
    /(?:"""([\s\S]*?)""")|(?:'''([\s\S]*?)''')|"((?:[^"\\]|\\[\s\S])*)"|'((?:[^'\\]|\\[\s\S])*)'|`((?:[^`\\]|\\[\s\S])*)`|(?:%x|qx|%q|%Q|qq|\bq)\s*(?:\{([^}]*)\}|\(([^)]*)\)|\[([^\]]*)\]|\/([^/]*)\/|\|([^|]*)\|)/g;
  for (const match of text.matchAll(pattern)) {
    const isFormatted = text[match.index - 1] === 'f';
    const written = decodeEscapes(match.slice(1).find((group) => group !== undefined) ?? '');
    // What is filled in when it runs.
    const value = written.replace(isFormatted ? /\{[^}]*\}/g : /[#$]\{[^}]*\}/g, hole);
    const literal = { value, start: match.index, end: match.index + match[0].length };
    const before = found.at(-1);
    const between = before === undefined ? undefined : text.slice(before.end, literal.start);
    if (
      before !== undefined &&
      between !== undefined &&
      /^\s*(?:\+|\.|\.\.|<<)?\s*[rbuf]?$/.test(between) &&
      !/\n/.test(between)
    ) {
      found[found.length - 1] = { value: before.value + value, start: before.start, end: literal.end };
    } else found.push(literal);
  }
  return found;
}

function judgeStarted(call: Call, code: string, literals: readonly Literal[]): void {
  const inner = { ...call, frame: { ...call.frame, stdin: '' } };
  for (const { value } of literals) {
    // One word is a program without arguments or a key: only what does harm alone is told apart by running it.
    if (/^[\w./-]+$/.test(value) && !/^(?:\S*\/)?(?:reboot|poweroff|halt|shutdown)$/.test(value)) continue;
    if (looksLikeCommand(value)) runCode(inner, value);
  }
  for (const list of listsOf(code, literals)) {
    if (list.length > 1)
      call.frame.scan.runText(list.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' '), {
        ...inner.frame,
        at: call.frame.at ?? lineOf(call),
      });
  }
  if (
    literals.length === 0 &&
    /\b(?:system|popen|exec|eval)\s*\(?\s*(?:\$|@|sys\.argv|ARGV|process\.argv|input|raw_input|STDIN|<>)/.test(code)
  )
    reportCall(call, 'G0602');
  if (
    /\b(?:eval|exec)\b\s*\(?\s*(?:input|sys\.stdin|STDIN|ARGV|process\.|<STDIN>|gets|\$_\b)/.test(code) ||
    /\bexec\(open\(/.test(code)
  )
    reportCall(call, 'G0602');
}

/** Enough like one to read it as one: a format, a sentence or a regular expression would only fail to parse. */
function looksLikeCommand(value: string): boolean {
  if (/^(?:\S*\/)?(?:reboot|poweroff|halt|shutdown)$/.test(value)) return true;
  return (
    /^\s*(?:[\w./~$:{(!-]|\\)/.test(value) &&
    (/\s/.test(value) || /[|;&>`]/.test(value)) &&
    !/%[sd]\b|^\s*\w+:\s/.test(value)
  );
}

/** Runs of literals with only commas between them: argument lists. */
function listsOf(code: string, literals: readonly Literal[]): string[][] {
  const lists: string[][] = [];
  let end = -1;
  for (const { value, start, end: next } of literals) {
    const between = end < 0 ? '' : code.slice(end, start);
    if (end >= 0 && /^\s*,\s*(?:\[\s*)?$/.test(between)) lists.at(-1)?.push(value);
    else lists.push([value]);
    end = next;
  }
  return lists.filter((list) => list.every((word) => !hasHole(word) || word.length > 1));
}

function judgeWritten(call: Call, code: string, literals: readonly Literal[]): void {
  for (const { value, end, start } of literals) {
    const [, arrows, opened] = /^\s*\+?(>{1,2})\s*(\/\S+)/.exec(value) ?? [];
    if (opened !== undefined) touch(call, opened, arrows === '>>' ? 'edit' : 'empty');
    if (!value.startsWith('/')) continue;
    const after = code.slice(end, end + 24);
    const before = code.slice(Math.max(0, start - 40), start);
    const isOpenedToRead =
      /open\w*\s*\(\s*$/.test(before) &&
      !/^\s*,\s*(?:mode\s*=\s*)?["'](?:[wax+]|r\+|rb\+)/.test(after) &&
      !/["']\s*[>+]/.test(before);
    const isWritten =
      /^\s*,\s*(?:mode\s*=\s*)?["'][rb]*[wax+]/.test(after) ||
      /(?:write\w*|append\w*|put_contents|createWriteStream|copyfile|truncate\w*)\s*\(?[^()]*$/i.test(before) ||
      />\s*["']?\s*$/.test(before) ||
      /^\)\.write_/.test(after) ||
      /["'][>+]+["']?\s*,\s*$/.test(before);
    if (isWritten && !isOpenedToRead)
      touch(call, value, /["']a/.test(after) || /append/i.test(before) || />>/.test(before) ? 'edit' : 'empty');
  }
}

function lineOf(call: Call) {
  const before = call.frame.source.text.slice(0, call.offset);
  return { offset: call.offset, line: before.split('\n').length, column: call.offset - before.lastIndexOf('\n') };
}

/**
 * Interpreters: code in another language, given in an argument or on the standard input. It isn't parsed: its string
 * literals are read, joined and decoded, and judged as the commands and paths that they would be. Where such code
 * builds what it runs, that is unknown.
 */

import { normalizePath } from '../paths.ts';
import { type Call, readOptions, reportCall, reportDownloaded, touch } from './call.ts';
import { decodeEscapes } from './escapes.ts';
import { fold } from './folding.ts';
import { literal, withGiven } from './given.ts';
import { decoded, downloaded, hasHole, hole, plain, withGlobs, withoutGlobs, withoutRuns } from './marks.ts';
import { contentOf } from './redirect.ts';
import { runCode } from './shells.ts';
import { judgeSinks } from './sinks.ts';

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
  'powershell',
  'wish',
  'irb',
  'jrunscript',
  'jjs',
  'jshell',
  'groovy',
  'scala',
  'kotlin',
  'clojure',
  'clj',
  'sbcl',
  'clisp',
  'ecl',
  'racket',
  'csi',
  'gosh',
  'ghc',
  'ghci',
  'runghc',
  'ocaml',
  'erl',
  'elixir',
  'iex',
  'crystal',
  'raku',
  'pike',
  'fennel',
  'janet',
  'octave',
  'octave-cli',
  'R',
  'sage',
  'slsh',
  'pry',
  'rake',
  'knife',
  'cpan',
  'guile',
  'vim',
  'vi',
  'ex',
  'nvim',
  'emacs',
  'ed',
]);

/** Options whose value is code, for all of them. */
const codeOptions = ['-c', '-e', '-E', '-r', '-p', '-n', '--eval', '--print', '-cmd', '-W', '-eval', '-x', '--execute'];

export function runInterpreter(call: Call, program: string): void {
  const args = call.argv.slice(1);
  const codes: string[] = [];
  const add = (code: string, given: readonly string[]) => {
    const isLoop = args.some((arg) => /^-[a-zA-Z0-9]*[np]/.test(plain(arg)));
    codes.push(withGiven(call, program, code, given, isLoop));
  };
  const encoded = /^(?:pwsh|powershell)$/.test(program) ? encodedCommand(args) : undefined;
  if (encoded !== undefined) {
    reportCall(call, 'G0502');
    codes.push(encoded);
  }
  if (/^[gmn]?awk$/.test(program)) codes.push(...awkCode(call, program));
  else {
    args.forEach((arg, i) => {
      const text = plain(arg);
      const isCode =
        codeOptions.includes(text) ||
        (/^-[a-zA-Z0-9]*[ceErp]$/.test(text) && !/^-[a-zA-Z0-9]*\d$/.test(text)) ||
        /^-[a-z0-9]+e$/i.test(text);
      if (isCode && args[i + 1] !== undefined) add(args[i + 1] ?? '', behind(args, i + 2));
      else if (/^--(?:eval|print|command)=/.test(text)) add(text.slice(text.indexOf('=') + 1), behind(args, i + 1));
      else if (text === '-S' && /^(?:vim|vi|nvim|ex)$/.test(program)) codes.push(...vimLines(call, args[i + 1] ?? ''));
      else if (/^\+:?!|^-c:?!/.test(text)) codes.push(`system("${text.replace(/^[+:!c-]+/, '')}")`);
    });
    const at = args.findIndex((arg) => !/^-./.test(plain(arg)));
    const file = args[at];
    const readsInput =
      codes.length === 0 &&
      (file === undefined || plain(file) === '-' || plain(file) === '/dev/stdin') &&
      !args.some((arg) => plain(arg) === '-m' || /^--?(?:version|help|V|v)$/.test(plain(arg)));
    const given = { ...call, frame: { ...call.frame, stdin: hole } };
    const dash = args.findIndex((arg) => /^(?:-|\/dev\/stdin)$/.test(plain(arg)));
    if (readsInput && call.frame.stdin !== '')
      codes.push(withGiven(given, program, call.frame.stdin, dash === -1 ? [] : args.slice(dash + 1)));
    else if (codes.length === 0 && file !== undefined)
      for (const code of fileCode(call, file)) add(code, args.slice(at + 1));
  }
  if (/^(?:perl|ruby)$/.test(program) && args.some((arg) => /^-\w*i/.test(plain(arg)))) {
    for (const arg of args) if (plain(arg).startsWith('/')) touch(call, arg, 'edit');
  }
  if (/^(?:python|pypy)$/.test(program)) codes.push(...moduleCode(call, args));
  for (const code of codes) {
    judgeCode(call, code);
    if (/^(?:tclsh|wish|expect)$/.test(program)) judgeTcl(call, code);
  }
}

/** Commands of an editor, in a file that the source has written. */
function vimLines(call: Call, file: string): string[] {
  return fileCode(call, file).flatMap((content) =>
    plain(content)
      .split('\n', 100)
      .map((line) =>
        line.replace(/^\s*:*\s*(?:silent!?\s+)?!(.*)$/, (_, command: string) => `system(${literal(command)})`),
      ),
  );
}

/** Arguments of the code itself: those behind it and behind the options of its interpreter. */
function behind(args: readonly string[], from: number): readonly string[] {
  const at = args.findIndex((arg, i) => i >= from && !/^-[^-]/.test(plain(arg)));
  return at === -1 ? [] : args.slice(plain(args[at] ?? '') === '--' ? at + 1 : at);
}

/** A program of awk, once for each of the first lines that it is known to read. */
function awkCode(call: Call, program: string): string[] {
  const args = call.argv.slice(1);
  const { values, operands } = readOptions(args, ['-F', '-v', '-f', '-e', '--source', '--file', '--assign']);
  const file = values.get('-f') ?? values.get('--file');
  const isOperand = file === undefined && !values.has('-e') && !values.has('--source');
  const written = isOperand
    ? [operands[0] ?? '']
    : file === undefined
      ? [values.get('-e') ?? values.get('--source') ?? '']
      : fileCode(call, file);
  const rest = isOperand ? operands.slice(1) : operands;
  const set = [
    ...args.flatMap((arg, i) => (/^(?:-v|--assign)$/.test(plain(arg)) ? [args[i + 1] ?? ''] : [])),
    ...args
      .map((arg) => plain(arg).replace(/^(?:-v|--assign=)(?=\w+=)/, ''))
      .filter((arg) => /^[A-Za-z_]\w*=/.test(arg)),
  ].slice(0, 20);
  const assigned = set.map((one) => {
    const [, name = '', value = ''] = /^(\w+)=([\s\S]*)$/.exec(withoutGlobs(plain(one))) ?? [];
    return name === '' || value.includes(hole) ? '' : `${name}=${literal(value)};\n`;
  });
  const stdin = plain(call.frame.stdin);
  const isRead = rest.every((one) => /^(?:-|\w+=.*)$/.test(plain(one))) && stdin !== '' && !stdin.includes(hole);
  const separator = plain(values.get('-F') ?? '');
  return written.flatMap((code) => {
    const text = assigned.join('') + withGiven(call, program, code, rest);
    const asksLine = isRead && /\$(?:\d|NF)/.test(text) && /system|[|>]|getline/.test(text) && text.length < 4000;
    if (!asksLine) return [text];
    return stdin
      .split('\n', 8)
      .filter((line) => line !== '' && line.length < 2000)
      .map((line) => withFields(text, line, separator));
  });
}

/** The fields of one line, where they stand outside of strings. */
function withFields(code: string, line: string, separator: string): string {
  const fields = separator === '' ? line.trim().split(/\s+/) : line.split(separator);
  return code
    .split(/("(?:[^"\\]|\\[\s\S])*")/)
    .map((piece) =>
      piece.startsWith('"')
        ? piece
        : piece.replace(/\$(\d{1,3}|NF)\b(?!\s*=[^=])/g, (_, key: string) =>
            literal(key === '0' ? line : (fields[key === 'NF' ? fields.length - 1 : Number(key) - 1] ?? '')),
          ),
    )
    .join('');
}

/** `python -m MODULE`: code that some take as arguments, and archives that others unpack. */
function moduleCode(call: Call, args: readonly string[]): string[] {
  const at = args.findIndex((arg) => plain(arg) === '-m');
  const rest = at === -1 ? [] : args.slice(at + 2);
  switch (plain(args[at + 1] ?? '')) {
    case 'timeit':
    case 'pyperf':
      return rest.filter((arg) => !/^-[a-z]*\d*$/.test(plain(arg)));
    case 'tarfile':
    case 'zipfile': {
      const directory = /^(?:-e|--extract)$/.test(plain(rest[0] ?? '')) ? rest[2] : undefined;
      if (directory !== undefined) unpackInto(call, directory);
      return [];
    }
    default:
      return [];
  }
}

/** What is in an archive, nobody knows. */
function unpackInto(call: Call, directory: string): void {
  if (/^\/(?:etc|bin|sbin|lib|lib64|boot|root|usr|var\/lib)?\/?$/.test(plain(directory)))
    reportCall(call, 'G0603', directory, 'unknown');
}

/** Tcl has no quotes around most of its words. */
function judgeTcl(call: Call, code: string): void {
  const text = withoutRuns(plain(code)).replace(/\{([^{}]*)\}/g, (whole, inner: string) =>
    /^\s*$|\n/.test(inner) ? whole : `'${inner.replaceAll("'", '')}'`,
  );
  for (const [, command] of text.matchAll(/\b(?:exec|spawn|system)\s+(?:-\w+\s+)*([^\n;\]]+)/g))
    runCode(call, command ?? '');
  for (const [, verb, rest = ''] of text.matchAll(/\bfile\s+(delete|rename|copy)\s+([^\n;\]]+)/g))
    runCode(call, `${verb === 'delete' ? 'rm -r' : verb === 'rename' ? 'mv' : 'cp'} ${rest.replace(/-force|--/g, '')}`);
  for (const [, path = ''] of text.matchAll(/\bopen\s+\{?(\/[^\s}]+)\}?\s+[wa]/g)) touch(call, path, 'empty');
}

/** PowerShell takes its code in Base64 of UTF-16. */
function encodedCommand(args: readonly string[]): string | undefined {
  const at = args.findIndex((arg) => /^-e(?:n?c?|nco\w*)$/i.test(plain(arg)));
  return at === -1 ? undefined : Buffer.from(plain(args[at + 1] ?? ''), 'base64').toString('utf16le');
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
  /\b(?:RemoveAll|remove_dir_all|remove_file|deleteRecursively|Files\.delete|File\.Delete|Directory\.Delete|rmtree|rmdir(?:Sync|s)?|removedirs|unlink(?:Sync)?|remove(?:_tree|_entry|_dir)?|rm(?:Sync|_rf|_r|_f)?|remove_entry_secure|delete(?:-directory|-file)?|rimraf|truncate(?:Sync)?|FileUtils|move|rename(?:Sync)?|chmod(?:Sync|_R)?|chown(?:Sync|_R)?|lchown|symlink)\b/;
const writes =
  /\b(?:open|fopen|file_put_contents|writeFile(?:Sync)?|appendFile(?:Sync)?|createWriteStream|writefile|write-region|append-to-file|copy-file|write_text|write_bytes|File\.(?:write|open)|IO\.write|sysopen|copyfile|print\s*>)\b|>\s*["']/;
const builds =
  /\b(?:b64decode|decode_base64|urlsafe_b64decode|atob|fromhex|unhexlify|a2b_\w+|unpack|pack|decode64|base64_decode|str_rot13|gzinflate|gzuncompress|rot13|fromCharCode|decompress|marshal|codecs)\b|Buffer\.from\([^)]*['"](?:base64|hex)['"]/;
const evaluates =
  /\b(?:eval|exec|compile|__import__|getattr|globals|Function|assert|create_function|instance_eval|class_eval|require|send|runInThisContext|import_module|system|load)\b/;
/** What gets at a function without naming it. */
const hides = /\b(?:getattr|__import__|globals|eval|send)\b/;
const fetches =
  /\b(?:urlopen|urlretrieve|requests\.get|LWP::Simple|HTTP::Tiny|curl_exec|WinHttp|httplib|http\.client|http\.get|https\.get|fetch|file_get_contents\(['"]https?|open-uri|LWP|Net::HTTP|URI\.open|httpx?)\b|\brequire\(['"`](?:node:)?https?['"`]\)/;
const sockets =
  /\b(?:socket|fsockopen|TCPSocket|Socket|net\.connect|net\.Socket|createConnection|IO::Socket)\b|\bconnect\(\d+|\brequire\(['"`](?:node:)?(?:net|tls)['"`]/;

/** A string, that stays, or a comment. */
const comments = /("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|(^|\s)#(?!\{).*$/gm;

/** Judges code by what is written in it. Attacker-controlled. */
export function judgeCode(call: Call, code: string): void {
  if (code.includes(downloaded)) reportCall(call, 'G0501');
  else if (code.includes(decoded)) reportCall(call, 'G0502');
  const text = withoutGlobs(plain(code));
  if (text.replaceAll(hole, '').trim() === '') {
    if (text !== '' && !code.includes(downloaded) && !code.includes(decoded)) reportCall(call, 'G0602');
    return;
  }
  const written = withoutRuns(text).replace(comments, '$1$2');
  const calm = fold(written);
  judgeSinks(call, calm, runnersOf(call, text));
  if (
    sockets.test(calm) &&
    /io\.popen\(\s*[a-z_]\w*|dup2|\/bin\/(?:ba|da|z)?sh|pty\.spawn|\bsh\b\s*-i|STDIN->fdopen|\["(?:ba)?sh"|'(?:ba)?sh'/.test(
      calm,
    )
  )
    reportCall(call, 'G0503');
  if (
    /fork\s*(?:\(\s*\))?\s*(?:while|until|for)|(?:while|until|for|loop)\b[^;]{0,40}\bfork\b|fork\(\)[^;]{0,12}while/.test(
      calm,
    ) &&
    !/wait/.test(calm)
  )
    reportCall(call, 'G0302');
  // Said of what is written there: where it can be decoded by reading, what it comes to is judged as well.
  if (builds.test(written) && (starts.test(calm) || /\b(?:eval|exec)\b/.test(calm))) reportCall(call, 'G0502');
  if (fetches.test(calm) && /\b(?:eval|exec|system)\b\s*\(?/.test(calm) && /\b(?:eval|exec)\b/.test(calm))
    reportCall(call, 'G0501');
  const literals = literalsOf(calm);
  const isDynamic = evaluates.test(calm);
  if (starts.test(calm) || isDynamic) judgeStarted(call, calm, literals);
  if (isDynamic) {
    for (const { value } of literals) if (value.includes('(') && value.length < text.length) judgeCode(call, value);
  }
  if (/\/inet\/(?:tcp|udp)\//.test(calm)) reportCall(call, 'G0503');
  if (/\bkill\s*\(?\s*["']?(?:KILL|TERM|SIGKILL|SIGTERM|9|15)["']?\s*(?:,|=>)\s*-\s*1\b/.test(calm))
    reportCall(call, 'G0303');
  if (/\bopen\s*\(?\s*(?:my\s+)?[\w$]+\s*,\s*"\s*\|\s*(?:\S*\/)?(?:ba|da|z)?sh\s*"/.test(calm))
    reportCall(call, 'G0602');
  if (/\b(?:include|require)(?:_once)?\b\s*\(?\s*"(?:https?|ftp|data|php|expect):/.test(calm))
    reportCall(call, 'G0501');
  for (const [, place = ''] of calm.matchAll(
    /(?:urlretrieve|getstore|download_file|urlDownload\w*)\s*\(?[^;)]*,\s*"(\/[^"]+)"/g,
  ))
    if (calm.split(place).length > 2 && starts.test(calm)) reportCall(call, 'G0604', place);
  if (removes.test(calm) || hides.test(calm))
    for (const { value } of literals)
      if (value.startsWith('/'))
        touch(
          call,
          /\bglob\b/.test(calm) ? withGlobs(value) : value,
          /RemoveAll|remove_dir_all|deleteRecursively|Directory\.Delete|tree|rm_r|glob|recursive|rimraf|remove_entry|_R\b|rm\b|walk|rmdir|delete-directory/.test(
            calm,
          )
            ? 'remove tree'
            : 'remove',
        );
  if (writes.test(calm)) judgeWritten(call, calm, literals);
  if (
    /\bkill\b[^;]{0,20}-\s*1\b|\bkill\(\s*1\s*,/.test(calm) &&
    /\bkill\b\s*\(?\s*(?:-9|9|-1|1|['"](?:KILL|9))/.test(calm)
  )
    reportCall(call, 'G0303');
  if (
    /\bLINUX_REBOOT|\breboot\s*\(|\bsyscall\s*\(?\s*(?:169|88|142|&?SYS_reboot)\s*,|\b(?:Stop|Restart)-Computer\b|0xfee1dead/i.test(
      calm,
    )
  )
    reportCall(call, 'G0301');
  if (
    /(?:\bfor\s*\(\s*;\s*;\s*\)|\bwhile\s*\(?\s*(?:1|true|!0)\s*\)?|\bloop\b|\buntil\s+false)[^}]{0,120}(?:\bfork\b|\b(?:system|Popen|spawn|exec)\b[^}]{0,80}&["']?\s*\))/i.test(
      calm,
    ) &&
    !/\bwait/.test(calm)
  )
    reportCall(call, 'G0302');
  for (const [, path = ''] of calm.matchAll(/\bdelete\(\s*"(\/[^"]+)"\s*,\s*"[a-z]*rf?"/g))
    touch(call, path, 'remove tree');
  for (const [, command = ''] of calm.matchAll(
    /\b(?:open|popen|IO\.read|IO\.readlines|File\.open|File\.read|IO\.binread)\s*\(?\s*(?:[\w$]+\s*,\s*)?"\s*\|\s*([^"]+)"/g,
  ))
    runCode(call, decodeEscapes(command));
  for (const [, command = ''] of calm.matchAll(/\bopen\s*\(?\s*(?:my\s+)?[\w$]+\s*,\s*"([^"]+?)\|\s*"/g))
    runCode(call, decodeEscapes(command));
  for (const [, command = ''] of calm.matchAll(/\bopen\s*\(?\s*(?:my\s+)?[\w$]+\s*,\s*"(?:-\||\|-)"\s*,\s*"([^"]+)"/g))
    runCode(call, decodeEscapes(command));
  if (/\b(?:Remove-Item|Clear-Content|Set-Content|Move-Item|ri|del|erase)\b/i.test(calm))
    for (const [, path = ''] of calm.matchAll(/[\s"'](\/[^\s"';|)]+)/g))
      touch(call, path, /-r/i.test(calm) ? 'remove tree' : 'remove');
}

function runnersOf(call: Call, text: string): Parameters<typeof judgeSinks>[2] {
  const inner = { ...call, frame: { ...call.frame, stdin: '' } };
  return {
    shell: (command) => void runCode(inner, command),
    program: (argv) =>
      void call.frame.scan.runText(argv.map(quoted).join(' '), { ...inner.frame, at: call.frame.at ?? lineOf(call) }),
    code: (code) => {
      if (code.length < text.length) judgeCode(call, code);
    },
  };
}

function quoted(word: string): string {
  return word === hole ? hole : `'${word.replaceAll("'", "'\\''")}'`;
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
      call.frame.scan.runText(list.map(quoted).join(' '), {
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
    if (opened !== undefined) {
      touch(call, opened, arrows === '>>' ? 'edit' : 'empty');
      call.frame.scan.files.set(normalizePath(opened, call.frame.scope.cwd), contentIn(code, literals, value));
    }
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
    if (!isWritten || isOpenedToRead) continue;
    call.frame.scan.files.set(normalizePath(value, call.frame.scope.cwd), contentIn(code, literals, value));
    touch(call, value, /["']a/.test(after) || /append/i.test(before) || />>/.test(before) ? 'edit' : 'empty');
  }
}

/** What code writes, where it says so in strings; a hole where it may be more. */
function contentIn(code: string, literals: readonly Literal[], path: string): string {
  const others = literals.filter(({ value }) => value !== path && !/^[rwabx+]{1,3}$/.test(value));
  const isPlain = others.length > 0 && !/[$%]\w|\b(?:join|format|read|argv|input)\b/i.test(code);
  return isPlain ? `${others.map(({ value }) => value).join('\n')}\n` : hole;
}

function lineOf(call: Call) {
  const before = call.frame.source.text.slice(0, call.offset);
  return { offset: call.offset, line: before.split('\n').length, column: call.offset - before.lastIndexOf('\n') };
}

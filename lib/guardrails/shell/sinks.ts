/**
 * Sinks: the places in code of another language at which it starts a program, evaluates text or removes a tree. What is
 * given there is read argument by argument, with holes where it isn't a literal.
 */
import { type Call, reportCall, touch } from './call.ts';
import { decodeEscapes } from './escapes.ts';
import { hole } from './marks.ts';

type Runners = {
  /** Text for a shell. */
  readonly shell: (text: string) => void;
  /** A program and its arguments. */
  readonly program: (argv: readonly string[]) => void;
  /** Code in the same language. */
  readonly code: (text: string) => void;
};

const starters =
  /(?<![\w$>])(?:(?:os|IO|io|Open3|subprocess|sp|posix|commands|Kernel|Process|pty|child_process|cp)\s*(?:\.|::)\s*|(?:child_process["'`]\s*\))\s*\.\s*)?(?:system|sh(?=\s*\(?\s*["'])|popen[234]?|execute|getoutput|getstatusoutput|shell_exec|passthru|proc_open|pcntl_exec|check_call|check_output|Popen|exec(?:File)?Sync|execFile|spawnSync|exec[lv]p?e?|spawn[lv]p?e?|posix_spawnp?|capture2e?|capture3|pipeline|call-process|shell-command|(?<=subprocess\.)(?:run|call)|(?<=(?:pty|Process|child_process|cp)\s*(?:\.|::))(?:spawn|exec|fork)|(?<=["'`]\)\.)(?:spawn|exec|execFile|fork)|(?<=sp\.)(?:run|call))\b(?!\s*[=:]|\w)/g;
const evaluators =
  /(?<![\w$>.-])(?:eval|exec|compile|loadstring|instance_eval|class_eval|create_function|assert|new Function|Function|runInThisContext|runInNewContext)\s*(?=[("'`$])/g;
const removers =
  /(?:\brmtree|\bremove_tree|\brm_rf?|\bremove_entry(?:_secure)?|\bremove_dir|\brmSync|\brmdirSync|\bremovedirs|\bfs\.rm|\brimraf)\s*(?:!?)(?=[(\s"'$])/g;

const maxArguments = 64;
const literal = /^"((?:[^"\\]|\\[\s\S])*)"|^'((?:[^'\\]|\\[\s\S])*)'|^`((?:[^`\\]|\\[\s\S])*)`/;

/** Judges what is given to each sink. The code is folded. */
export function judgeSinks(call: Call, code: string, { shell, program, code: evaluate }: Runners): void {
  for (const match of code.matchAll(starters)) {
    const args = argumentsAt(code, match.index + match[0].length);
    if (args === undefined) continue;
    const [first = '', ...rest] = args;
    if (rest.length === 0) shell(first);
    else program(args);
  }
  for (const [, command = ''] of code.matchAll(/`((?:[^`\\]|\\[\s\S]){3,400})`/g)) {
    // What is filled in there is known only when it runs.
    const text = command.replace(/@\{\[[\s\S]*?\]\}|[#$]\{[^}]*\}|\$[A-Za-z_]\w*/g, hole);
    if (text.includes(hole)) shell(text);
  }
  for (const match of code.matchAll(evaluators)) {
    const [first] = argumentsAt(code, match.index + match[0].length) ?? [];
    if (first === undefined || isBlock(code, match.index + match[0].length)) continue;
    if (!first.includes(hole)) evaluate(first);
    else reportCall(call, 'G0602', match[0]);
  }
  for (const match of code.matchAll(removers)) {
    const [first] = argumentsAt(code, match.index + match[0].length) ?? [];
    if (first === undefined) continue;
    if (first !== hole) touch(call, first, 'remove tree');
    else if (!judgeRoots(call, code)) reportCall(call, 'G0603', match[0]);
  }
}

/** What is removed is found below a directory that the code names. False: it names none. */
function judgeRoots(call: Call, code: string): boolean {
  if (!/\b(?:scandir|listdir|walk|glob|iterdir|rglob|readdir(?:Sync)?|opendir|Dir)\b/.test(code)) return false;
  const roots = [...code.matchAll(/["'](\/[^"'\s*]*)\*?["']/g)].map(([, path = '']) => path);
  for (const root of roots) touch(call, `${root.replace(/\/$/, '')}/\ue001`, 'remove tree');
  return roots.length > 0;
}

/** `eval { … }` is code that stands there. */
function isBlock(code: string, at: number): boolean {
  return /^\s*\{/.test(code.slice(at, at + 8));
}

/** The arguments behind the name of a function, in brackets or not; undefined when there are none. */
function argumentsAt(code: string, at: number): string[] | undefined {
  const open = /^\s*\(/.exec(code.slice(at, at + 16))?.[0];
  const start = at + (open?.length ?? 0);
  const args: string[] = [];
  let value = '';
  let isEmpty = true;
  let depth = 0;
  let i = start;
  const push = () => {
    if (!isEmpty && args.length < maxArguments) args.push(value);
    value = '';
    isEmpty = true;
  };
  while (i < code.length && i < start + 4000) {
    const char = code[i] ?? '';
    const rest = code.slice(i, i + 2000);
    const found = literal.exec(rest);
    if (found !== null) {
      const isFormat = code[i - 1] === 'f';
      const text = decodeEscapes(found[1] ?? found[2] ?? found[3] ?? '');
      value += text.replace(isFormat ? /\{[^}]*\}/g : /[#$]\{[^}]*\}|(?<!\\)\$[A-Za-z_]\w*/g, hole);
      isEmpty = false;
      i += found[0].length;
      continue;
    }
    if ('([{'.includes(char)) depth += 1;
    else if (')]}'.includes(char)) {
      depth -= 1;
      if (depth < 0) break;
    } else if (char === ',') push();
    else if (open === undefined && depth === 0 && /[;\n]/.test(char)) break;
    else if (/[A-Za-z_$@<]/.test(char)) {
      const word = /^[$@<]?[\w.$>:-]*/.exec(rest)?.[0] ?? char;
      i += Math.max(word.length, 1);
      // An option by name, and what it is set to, is no argument.
      const option = /^\s*(?:=(?!=)|=>|:(?!:))\s*(?:"[^"]*"|[\w.|]+|\{[^{}]*\})?/.exec(code.slice(i, i + 300))?.[0];
      if (option !== undefined && /^\w+$/.test(word)) i += option.length;
      else if (
        !/^(?:f|r|b|rb|true|false|True|False|None|nil|null|undefined|and|or|if|unless|new|string|q|qq)$/.test(word)
      ) {
        if (!value.endsWith(hole)) value += hole;
        isEmpty = false;
      }
      continue;
    }
    i += 1;
  }
  push();
  return args.length === 0 ? undefined : args;
}

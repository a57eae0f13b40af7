/** Redirections: what a command reads and where its output goes. Every file that is opened for writing is judged. */
import { judgePath } from '../judge-path.ts';
import { normalizePath } from '../paths.ts';
import type { Syntax } from './grammar.ts';
import { hole, plain, withoutGlobs } from './marks.ts';
import { type Frame, report } from './scan.ts';
import { expandFields, expandQuoted, expandText } from './word.ts';
import { judgeWrite } from './write.ts';

type Runners = {
  readonly run: (body: Syntax | undefined, frame: Frame) => string;
  readonly pipe: (nodes: readonly Syntax[], frame: Frame) => string;
};

type Target = { readonly path: string; readonly operator: string; readonly offset: number };

/** Runs a statement with its redirections; returns what is still printed. */
export function redirected(node: Syntax, frame: Frame, { run, pipe }: Runners): string {
  const body = node.children.find(({ field, type }) => field === 'body' || !type.endsWith('_redirect'));
  const targets: Target[] = [];
  const after: (readonly Syntax[])[] = [];
  const then: Syntax[] = [];
  let { stdin } = frame;
  for (const redirect of node.children.filter(({ type }) => type.endsWith('_redirect'))) {
    if (redirect.type === 'heredoc_redirect') {
      stdin = heredoc(redirect, frame);
      for (const child of redirect.children) {
        if (child.type === 'pipeline') after.push(child.children);
        else if (child.field === 'right') then.push(child);
        else if (child.type === 'file_redirect') targets.push(...targetsOf(child, frame));
        else if (child.type === 'herestring_redirect') stdin = herestring(child, frame);
      }
    } else if (redirect.type === 'herestring_redirect') stdin = herestring(redirect, frame);
    else {
      const operator = operatorOf(redirect, frame);
      const found = targetsOf(redirect, frame);
      // Another descriptor: what it reads, nobody has followed.
      if (operator.startsWith('<&')) stdin = hole;
      if (operator === '<' || operator === '<>') stdin = contentOf(frame, found[0]?.path);
      if (operator !== '<') targets.push(...found);
      else for (const one of found) judgeRemote(frame, one, body, frame.source.text.slice(node.start, node.end));
    }
  }
  const excerpt = frame.source.text.slice(node.start, node.end);
  for (const target of targets) judgeRemote(frame, target, body, excerpt);
  let output = run(body, { ...frame, stdin });
  const isStdout = ({ operator }: Target) => /^(?:1?>|1?>>|1?>\||&>|&>>|>&|<>)$/.test(operator);
  for (const target of targets) {
    const content = isStdout(target) ? output : hole;
    judgeWrite(frame, target.path, {
      isAppend: target.operator.includes('>>') || target.operator === '<>',
      content,
      offset: target.offset,
      excerpt,
    });
  }
  if (targets.some(isStdout)) output = '';
  for (const nodes of after) output = pipe(nodes, { ...frame, stdin: output });
  for (const statement of then) output += run(statement, frame);
  return output;
}

/** With its descriptor, when that is 1 or 2. */
function operatorOf(redirect: Syntax, frame: Frame): string {
  return redirect.children
    .filter(({ field }) => field !== 'destination')
    .map(({ start, end }) => frame.source.text.slice(start, end))
    .join('')
    .trim()
    .replace(/^0(?=<)/, '');
}

function targetsOf(redirect: Syntax, frame: Frame): Target[] {
  const operator = operatorOf(redirect, frame);
  return redirect.children
    .filter(({ field }) => field === 'destination')
    .slice(0, 1)
    .flatMap(({ start, end }) => expandFields(frame, start, end).flatMap((fields) => fields.slice(0, 1)))
    .filter((path) => !(operator.includes('&') && !operator.startsWith('&') && /^(?:\d+-?|-)$/.test(plain(path))))
    .map((path) => ({ path, operator, offset: redirect.start }));
}

/** A connection opened as if it were a file, and a shell at its end. */
function judgeRemote(frame: Frame, { path, offset }: Target, body: Syntax | undefined, excerpt: string): void {
  if (!/^\/dev\/(?:tcp|udp)\//.test(plain(path))) return;
  const words = body === undefined ? '' : frame.source.text.slice(body.start, body.end).replace(/["'\\]/g, '');
  if (/^\s*(?:\S*\/)?(?:ba|da|z|k|a|c)?sh\b|^\s*exec\b|^\s*(?:\S+\s+)*(?:\S*\/)?(?:ba|z)?sh\s+-i/.test(words)) {
    report(frame, 'G0503', { offset, excerpt, detail: path });
  }
}

/** The known content of a file that this very source wrote. */
export function contentOf(frame: Frame, path: string | undefined): string {
  if (path === undefined) return hole;
  const name = plain(path);
  if (name === '/dev/null') return '';
  if (name === '/dev/stdin' || name === '/dev/fd/0' || name === '/proc/self/fd/0') return frame.stdin;
  if (/^\/dev\/(?:tcp|udp)\//.test(name)) return `${hole}\ue009`;
  if (judgePath(path, 'edit', frame.scope.cwd)?.rule === 'G0201') return hole;
  return frame.scan.files.get(normalizePath(withoutGlobs(name), frame.scope.cwd)) ?? hole;
}

function herestring(node: Syntax, frame: Frame): string {
  const word = node.children.find(({ type }) => type !== '<<<');
  return word === undefined ? hole : `${expandText(frame, word.start, word.end)[0] ?? hole}\n`;
}

function heredoc(node: Syntax, frame: Frame): string {
  const start = node.children.find(({ type }) => type === 'heredoc_start');
  const body = node.children.find(({ type }) => type === 'heredoc_body');
  if (body === undefined) return '';
  const { text } = frame.source;
  const isLiteral = start !== undefined && /['"\\]/.test(text.slice(start.start, start.end));
  const content = isLiteral ? text.slice(body.start, body.end) : (expandQuoted(frame, body.start, body.end)[0] ?? hole);
  const isIndented = node.children.some(({ type }) => type === '<<-');
  return isIndented ? content.replace(/^\t+/gm, '') : content;
}

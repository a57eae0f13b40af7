/** Redirections: what a command reads and where its output goes. Every file that is opened for writing is judged. */
import { judgePath } from '../judge-path.ts';
import { normalizePath } from '../paths.ts';
import { resolved } from './links.ts';
import { wellKnownContent } from './listings.ts';
import { downloaded, hole, plain, withoutGlobs } from './marks.ts';
import { type Frame, report } from './scan.ts';
import type { Command, HereDocument, Redirect, Span, Word } from './syntax.ts';
import { expandFields, expandQuoted, expandText } from './word.ts';
import { judgeWrite } from './write.ts';

type Target = {
  /** Of the shell's own three. */
  readonly isStandard: boolean;
  readonly path: string;
  readonly isAppend: boolean;
  readonly isOutput: boolean;
  readonly offset: number;
};

/** Runs a command with its redirections; returns what is still printed. An undefined body: there is none. */
export function redirected(
  node: Span & { readonly redirects: readonly Redirect[] },
  body: Command | undefined,
  frame: Frame,
  run: (frame: Frame) => string,
): string {
  const words = body === undefined ? '' : frame.source.text.slice(body.start, body.end);
  const excerpt = frame.source.text.slice(node.start, node.end);
  // `exec` without a command changes the descriptors of the shell itself.
  const isLasting = /^\s*exec\s*$/.test(words.slice(0, 20).replace(/[\d{<>&][\s\S]*$/, ''));
  const scope = isLasting
    ? frame.scope
    : { ...frame.scope, inputs: new Map(frame.scope.inputs), outputs: new Map(frame.scope.outputs) };
  const inner = { ...frame, scope };
  const targets: Target[] = [];
  let { stdin } = frame;
  for (const redirect of node.redirects) {
    const { operator, descriptor } = redirect;
    if (/^<(?!>)/.test(operator)) {
      const content = inputOf(redirect, inner, () =>
        judgeRemote(inner, pathOf(redirect.target, inner), words, excerpt),
      );
      if (/^0?$/.test(descriptor)) stdin = content;
      else scope.inputs.set(descriptor, content);
    } else targets.push(...outputsOf(redirect, inner));
    if (operator === '<>') {
      const content = contentOf(inner, pathOf(redirect.target, inner));
      if (/^0?$/.test(descriptor)) stdin = content;
      else scope.inputs.set(descriptor, content);
    }
  }
  for (const { path, offset, isStandard } of targets) judgeRemote(inner, path, words, excerpt, { offset, isStandard });
  // `$(<file)` gives what is in the file.
  const output = body === undefined ? (node.redirects.length === 1 ? stdin : '') : run({ ...inner, stdin });
  // What the body changed in the shell itself stays.
  if (!isLasting) Object.assign(frame.scope, { cwd: scope.cwd, positional: scope.positional });
  for (const { path, isAppend, isOutput, offset } of targets)
    judgeWrite(inner, path, {
      isAppend,
      content: isOutput && !isLasting ? output : isLasting ? '' : hole,
      offset,
      excerpt,
    });
  return targets.some(({ isOutput }) => isOutput) ? '' : output;
}

/** What is read. */
function inputOf({ operator, target, document }: Redirect, frame: Frame, look: () => void): string {
  if (document !== undefined) return textOf(document, frame);
  if (operator === '<<<') return `${expandText(frame, target.start, target.end)[0] ?? hole}\n`;
  if (operator === '<&') {
    const number = plain(pathOf(target, frame)).replace(/-$/, '');
    return frame.scope.inputs.get(number) ?? hole;
  }
  look();
  return contentOf(frame, pathOf(target, frame));
}

function textOf({ isLiteral, isIndented, body }: HereDocument, frame: Frame): string {
  const content = isLiteral
    ? frame.source.text.slice(body.start, body.end)
    : (expandQuoted(frame, body.start, body.end)[0] ?? hole);
  return isIndented ? content.replace(/^\t+/gm, '') : content;
}

/** The files that are written. */
function outputsOf({ operator, descriptor, target, start }: Redirect, frame: Frame): Target[] {
  const isOutput = /^1?$/.test(descriptor) || operator.startsWith('&');
  const isAppend = operator.includes('>>') || operator === '<>';
  const paths = expandFields(frame, target.start, target.end).flatMap((fields) => fields.slice(0, 1));
  return paths.flatMap((path): Target[] => {
    const isCopy = operator === '>&' && /^(?:\d+-?|-)$/.test(plain(path));
    const opened = isCopy ? frame.scope.outputs.get(plain(path)) : path;
    if (opened === undefined) return [];
    if (!isOutput) frame.scope.outputs.set(descriptor, opened);
    const isStandard = /^[012]?$/.test(descriptor);
    return [{ path: opened, isAppend: isAppend || isCopy, isOutput, offset: start, isStandard }];
  });
}

function pathOf({ start, end }: Word, frame: Frame): string {
  return expandFields(frame, start, end)[0]?.[0] ?? hole;
}

/** A connection opened as if it were a file, and a shell at its end. */
function judgeRemote(
  frame: Frame,
  path: string,
  body: string,
  excerpt: string,
  { offset = 0, isStandard = true }: { offset?: number; isStandard?: boolean } = {},
): void {
  if (!/^\/dev\/(?:tcp|udp)\//.test(plain(path))) return;
  // A descriptor of its own is a connection; what a shell reads from it is looked at there.
  if (!isStandard && /^\s*exec\b/.test(body)) return;
  const words = body.replace(/["'\\]/g, '');
  if (/^\s*(?:\S*\/)?(?:ba|da|z|k|a|c)?sh\b|^\s*exec\b|^\s*(?:\S+\s+)*(?:\S*\/)?(?:ba|z)?sh\s+-i/.test(words)) {
    report(frame, 'G0503', { offset, excerpt, detail: path });
  }
}

/** The known content of a file that this very source wrote. */
export function contentOf(frame: Frame, path: string | undefined): string {
  if (path === undefined) return hole;
  const name = plain(path);
  if (name === '/dev/null') return '';
  const descriptor = /^\/(?:dev|proc\/(?:self|\d+|\ue000))\/fd\/(\d+)$/.exec(name)?.[1];
  if (name === '/dev/stdin' || descriptor === '0') return frame.stdin;
  const input = descriptor === undefined ? undefined : frame.scope.inputs.get(descriptor);
  if (input !== undefined) return input;
  if (/^\/dev\/(?:tcp|udp)\//.test(name)) return `${hole}${downloaded}`;
  if (judgePath(path, 'edit', frame.scope.cwd)?.rule === 'G0201') return hole;
  const written = frame.scan.files.get(normalizePath(resolved(frame, withoutGlobs(name), undefined), frame.scope.cwd));
  return written ?? wellKnownContent(name) ?? hole;
}

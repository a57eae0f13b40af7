/** Loops: run round by round while their items and conditions are known, and once with what could be otherwise. */
import { evaluate, truthOf } from './expressions.ts';
import { hole, plain } from './marks.ts';
import { type Frame, limits, report, step } from './scan.ts';
import { combinations, inBranch, runItems } from './sequence.ts';
import type { Command, Item } from './syntax.ts';
import { expandFields } from './word.ts';

/** Rounds that are run one by one: fewer of them the deeper a loop is in others. */
function roundsIn({ loops }: Frame): number {
  return Math.max(4, Math.trunc(limits.loopRounds / 4 ** loops));
}

function within(frame: Frame): Frame {
  return { ...frame, loops: frame.loops + 1 };
}

export function runFor({ name, words, body }: Extract<Command, { type: 'for' }>, frame: Frame): string {
  const { scope } = frame;
  const lists =
    words === undefined
      ? [(scope.positional ?? [hole]).slice()]
      : combinations(words.map(({ start, end }) => expandFields(frame, start, end)));
  const items = [...new Set(lists.flat())];
  const rounds = (lists.length === 1 ? (lists[0] ?? []) : items).slice(0, roundsIn(frame));
  let output = '';
  for (const item of rounds) {
    if (!step(frame.scan)) break;
    scope.variables.set(name, { values: [item], isList: false });
    output += runItems(body, within(frame));
  }
  const rest = items.slice(rounds.length, rounds.length + limits.alternatives);
  if (rest.length > 0) {
    scope.variables.set(name, { values: rest, isList: false });
    output += inBranch(frame, () => runItems(body, within(frame)));
  }
  return output;
}

export function runWhile(loop: Extract<Command, { type: 'while' }>, frame: Frame): string {
  const { condition, body, isUntil, start, end } = loop;
  judgeEndless(frame.source.text.slice(start, end), body, frame, start);
  const text = frame.source.text.slice(condition[0]?.command.start ?? start, body[0]?.command.start ?? end);
  if (/\bread\b/.test(text)) return runLines(loop, frame);
  let output = '';
  for (let round = 0; round < roundsIn(frame); round += 1) {
    const isTrue = truthOf(condition, frame);
    if (isTrue === undefined || !step(frame.scan) || isEndlessCondition(text)) break;
    if (isTrue === isUntil) return output + (round === 0 ? runRound(loop, frame) : '');
    output += runItems(body, within(frame));
  }
  return output + runRound(loop, frame);
}

/** A round that may or may not happen. */
function runRound({ condition, body }: Extract<Command, { type: 'while' }>, frame: Frame): string {
  return inBranch(frame, () => runItems(condition, frame) + runItems(body, within(frame)));
}

/** `while read …`: a round for each line of what comes in. */
function runLines(loop: Extract<Command, { type: 'while' }>, frame: Frame): string {
  const lines = plain(frame.stdin)
    .split('\n')
    .filter((line) => line !== '')
    .slice(0, roundsIn(frame));
  const isWhole = lines.length > 0 && !lines.some((line) => line.includes(hole));
  const rounds = lines.length === 0 ? [hole] : lines;
  return rounds
    .map((stdin) => {
      const inner = { ...within(frame), stdin };
      return isWhole ? runItems(loop.condition, inner) + runItems(loop.body, inner) : runRound(loop, inner);
    })
    .join('');
}

export function runArithmeticFor(
  { expressions, body, start, end }: Extract<Command, { type: 'arithmetic for' }>,
  frame: Frame,
): string {
  const [first, condition, next] = expressions;
  judgeEndless(frame.source.text.slice(start, end), body, frame, start);
  evaluate(first, frame);
  let output = '';
  for (let round = 0; round < roundsIn(frame); round += 1) {
    const value = condition.end <= condition.start ? undefined : evaluate(condition, frame);
    if (value === undefined || !step(frame.scan)) break;
    if (value === 0) return output;
    output += runItems(body, within(frame));
    evaluate(next, frame);
  }
  return output + inBranch(frame, () => runItems(body, within(frame)));
}

function isEndlessCondition(text: string): boolean {
  return /^\s*(?:true|:|false|\/bin\/true|\[\s*1\s*\]|\(\(\s*1\s*\)\)|test\s+1)\s*[;\n]/.test(text);
}

/** A loop without an end that starts processes and waits for nothing. */
function judgeEndless(text: string, body: readonly Item[], frame: Frame, offset: number): void {
  const isEndless =
    /^(?:while\s+(?:true|:|\/bin\/true|test\s+1|\[\s*1\s*\]|\[\[\s*1\s*\]\]|\(\(\s*1\s*\)\))|until\s+(?:false|\[\s*\])|for\s*\(\(\s*;\s*;?\s*;?\s*\)\))/.test(
      text,
    );
  const isForked = body.some(({ isBackground }) => isBackground) || /[^&>|]&\s*(?:\n|;|done\b|\})/.test(text);
  const isPaced = body.some(
    ({ command, isBackground }) => !isBackground && pacing.test(frame.source.text.slice(command.start, command.end)),
  );
  if (isEndless && isForked && !isPaced) report(frame, 'G0302', { offset, excerpt: text });
}

const pacing = /\b(?:sleep|wait|read|inotifywait|break|timeout|exit|usleep|accept|nc|socat|curl)\b/;

/**
 * `exec`: a command, run only while its guard finds something to do. A guard is required, so that a second run does
 * nothing: `creates` (a path that is there when it is done), `unless` (a command that succeeds when it is done),
 * `onlyif` (a command that succeeds while there is something to do). With several, each must say "to do".
 *
 * Guards run in a dry run too and as part of every check: they must only look.
 *
 * With `refresh`, the command runs only when another resource that changed notifies it, and then only if its guard
 * agrees; nothing is expected of the guard afterwards, because a reload leaves no trace to look at.
 */
import { z } from 'zod';
import type { Difference, Executor, ExecutorContext } from '../executor.ts';
import { type Command, HostError, type HostView } from '../host.ts';
import { absolutePath } from './fields.ts';

const maxCommandLength = 16 * 1024;
const maxReasonLength = 2000;

const text = z
  .string()
  .min(1)
  .max(maxCommandLength)
  .refine((value) => !value.includes('\0'), 'must have no NUL');

/** Program and arguments, or text for `/bin/sh -c`. */
const command = z.union([text, z.tuple([text]).rest(z.string().max(maxCommandLength))]);

const blob = z.strictObject({ sha256: z.string().regex(/^[0-9a-f]{64}$/), bytes: z.int().min(0) });

const schema = z
  .strictObject({
    /** Names the resource; the command itself when left out. */
    name: z.string().min(1).max(200).optional(),
    command,
    creates: absolutePath.optional(),
    unless: command.optional(),
    onlyif: command.optional(),
    refresh: z.boolean().default(false),
    /** Standard input of the command, not of its guards: text, or the blob that a secret is for the length of a run. */
    stdin: z.union([z.string().max(maxCommandLength), blob]).optional(),
    cwd: absolutePath.optional(),
    timeout_seconds: z.int().min(1).max(3600).default(300),
  })
  .refine((desired) => [desired.creates, desired.unless, desired.onlyif].some((guard) => guard !== undefined), {
    message: 'a guard is required: creates, unless or onlyif',
    path: ['unless'],
  })
  .refine((desired) => desired.name !== undefined || !/[\n\r\t]/.test(format(desired.command)), {
    message: 'is required when the command has more than one line',
    path: ['name'],
  });

export type Exec = z.output<typeof schema>;
export type ExecDifference = Difference & { readonly reason: string };

export const exec: Executor<Exec, ExecDifference> = {
  name: 'exec',
  schema,
  id: (desired) => desired.name ?? format(desired.command),
  paths: () => [],
  // Its own `timeout_seconds` is shorter; guards have time too.
  timeoutMs: 65 * 60_000,

  async check(desired, host, context) {
    if (desired.refresh && !context.notified) {
      return undefined;
    }
    if (desired.creates !== undefined && (await host.inspect({ path: desired.creates })) !== undefined) {
      return undefined;
    }
    if (desired.unless !== undefined && (await succeeds(desired.unless, desired, host, context))) {
      return undefined;
    }
    if (desired.onlyif !== undefined && !(await succeeds(desired.onlyif, desired, host, context))) {
      return undefined;
    }
    const reason = desired.refresh ? 'notified' : 'the guard says that there is something to do';
    return { change: desired.creates === undefined ? 'updated' : 'created', reason };
  },

  async apply(_found, desired, host, context) {
    const input = typeof desired.stdin === 'object' ? await context.blob(desired.stdin.sha256) : desired.stdin;
    const command = bound(desired.command, desired, context);
    const result = await host.run(input === undefined ? command : { ...command, input });
    if (result.exitCode !== 0) {
      const how = result.exitCode === undefined ? 'was killed by a signal' : `exited with ${result.exitCode}`;
      const output = result.output.trim().slice(-maxReasonLength);
      throw new HostError('system', `the command ${how}${output === '' ? '' : `: ${output}`}`);
    }
  },

  describe: (found) => found.reason,
};

async function succeeds(
  guard: z.output<typeof command>,
  desired: Exec,
  host: HostView,
  context: ExecutorContext,
): Promise<boolean> {
  const result = await host.probe(bound(guard, desired, context));
  return result.exitCode === 0;
}

function bound(wanted: z.output<typeof command>, desired: Exec, context: ExecutorContext): Command {
  const argv: [string, ...string[]] = typeof wanted === 'string' ? ['/bin/sh', '-c', wanted] : [...wanted];
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(desired.timeout_seconds * 1000)]);
  return { argv, cwd: desired.cwd, signal };
}

function format(wanted: z.output<typeof command>): string {
  return typeof wanted === 'string' ? wanted : wanted.join(' ');
}

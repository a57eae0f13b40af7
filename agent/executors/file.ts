/**
 * `file`: a regular file with this content, mode and owner, or none at all.
 *
 * Any drift is repaired by writing the whole file anew beside the old one and renaming it, so no reader sees half of
 * it, and a hard link elsewhere to the old file is left alone. A symlink at the path is replaced, never followed.
 */
import { z } from 'zod';
import type { Difference, Executor, ExecutorContext } from '../executor.ts';
import { type Host, HostError } from '../host.ts';
import { failure } from '../platform/command.ts';
import { absolutePath, account, declaredOwner, mode, ownershipDrift, resolveOwnership } from './fields.ts';

const defaultMode = '0644';

const schema = z
  .strictObject({
    path: absolutePath,
    state: z.enum(['present', 'absent']).default('present'),
    /** The blob that holds the content. */
    content: z.strictObject({ sha256: z.string().regex(/^[0-9a-f]{64}$/), bytes: z.int().min(0) }).optional(),
    /** 0644 when left out. */
    mode: mode.optional(),
    owner: account.optional(),
    group: account.optional(),
    /** A command that says by exit code 0 that the content is good; `%s` stands for a file that holds it. */
    validate: z
      .string()
      .max(4096)
      .refine((text) => /(?:^|\s)%s(?:\s|$)/.test(text) && !text.includes('\0'), 'must have a word "%s"')
      .optional(),
  })
  .refine((desired) => desired.state === 'absent' || desired.content !== undefined, {
    message: 'is required, unless the state is "absent"',
    path: ['content'],
  })
  .refine((desired) => desired.state === 'present' || desired.content === undefined, {
    message: 'makes no sense when the state is "absent"',
    path: ['content'],
  });

export type File = z.output<typeof schema>;
export type FileDifference = Difference & { readonly reasons: readonly string[] };

export const file: Executor<File, FileDifference> = {
  name: 'file',
  schema,
  id: (desired) => desired.path,
  paths: (desired) => [desired.path],

  async check(desired, host) {
    const place = { path: desired.path, owner: await declaredOwner(desired.owner, host) };
    const status = await host.inspect(place);
    if (status?.kind === 'directory' || status?.kind === 'other') {
      const what = status.kind === 'directory' ? 'a directory' : 'a device, socket or pipe';
      throw new HostError('wrong_kind', `${JSON.stringify(desired.path)} is ${what}: remove it first`);
    }
    if (desired.state === 'absent') {
      return status === undefined ? undefined : { change: 'removed', reasons: ['there is one'] };
    }
    if (status === undefined) {
      return { change: 'created', reasons: ['there is none'] };
    }
    if (status.kind === 'symlink') {
      return { change: 'updated', reasons: ['a symlink instead of a file'] };
    }
    const reasons = ownershipDrift(
      status,
      await resolveOwnership({ ...desired, mode: desired.mode ?? defaultMode }, host),
    );
    if ((await host.digest(place)) !== contentOf(desired).sha256) {
      reasons.push('other content');
    }
    return reasons.length === 0 ? undefined : { change: 'updated', reasons };
  },

  async apply(_found, desired, host, context) {
    const place = { path: desired.path, owner: await declaredOwner(desired.owner, host) };
    if (desired.state === 'absent') {
      await host.removeFile(place);
      return;
    }
    const content = await context.blob(contentOf(desired).sha256);
    await host.writeFile(
      place,
      content,
      await resolveOwnership({ ...desired, mode: desired.mode ?? defaultMode }, host),
      validatorOf(desired, host, context),
    );
  },

  describe: (found) => found.reasons.join(', '),
};

/** Runs on the complete file, with its final owner and mode, before it takes its name. */
function validatorOf({ path, validate }: File, host: Host, { signal }: ExecutorContext) {
  if (validate === undefined) {
    return undefined;
  }
  // The path is an argument of the shell, not text of the command.
  const script = validate.replace(/(?<=^|\s)%s(?=\s|$)/g, '"$1"');
  return async (temporary: string) => {
    const result = await host.probe({ argv: ['/bin/sh', '-c', script, 'validate', temporary], signal });
    if (result.exitCode !== 0) {
      const { message } = failure({ argv: [validate] }, result);
      throw new HostError('system', `the new content of ${JSON.stringify(path)} is not valid: ${message}`);
    }
  };
}

function contentOf(desired: File): NonNullable<File['content']> {
  if (desired.content === undefined) {
    throw new TypeError('A file that is present has content: its schema says so.');
  }
  return desired.content;
}

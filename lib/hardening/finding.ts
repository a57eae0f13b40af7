/**
 * What speaks of somebody in this process who should not be there. A finding is a warning: it is recorded, and the
 * service goes on, because whoever can do such things could also have stopped it.
 */
import { z } from 'zod';

/**
 * - `tracer`: a debugger is attached (ptrace).
 * - `inspector`: Node's own debugger listens.
 * - `options`: the process was started with options or variables that put code into it; the startup gate took them away.
 * - `preload`: the dynamic linker was told to load something first.
 * - `mapping`: code is mapped that is neither the program's nor the system's.
 * - `binary`: the running program's file is not the one on the disk any more.
 */
export const findingKinds = ['tracer', 'inspector', 'options', 'preload', 'mapping', 'binary'] as const;

export type FindingKind = (typeof findingKinds)[number];

export type Finding = {
  readonly kind: FindingKind;
  /** What was found: a path, a name, a variable. At most `maxWhat` characters, printable ASCII. */
  readonly what: string;
};

export const maxWhat = 200;

/** Reads findings that came from elsewhere. */
export const findingSchema = z.strictObject({
  kind: z.enum(findingKinds),
  what: z.string().regex(/^[ -~]{1,200}$/),
});

/** Paths and names are whatever somebody chose: what is not printable ASCII is escaped. */
export function finding(kind: FindingKind, what: string): Finding {
  const printable = what.replace(/[^ -~]/g, (character) => `\\x${character.charCodeAt(0).toString(16)}`);
  return { kind, what: printable.slice(0, maxWhat) || '?' };
}

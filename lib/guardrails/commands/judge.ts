/** A judge: knows one program, and reports what a call of it does to what is protected. */
import type { Call } from '../shell/call.ts';

/** `again` has a command that the program would run judged in its turn. */
export type Judge = (call: Call, again: (argv: readonly string[], changes?: Partial<Call>) => string) => void;

export type Judges = Readonly<Record<string, Judge>>;

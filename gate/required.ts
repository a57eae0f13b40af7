/** The other half of the gate: a program that was not started through it does not start. Nothing switches this off. */
import { type VerifiedProgram, verifiedProgram } from '../lib/crypto/program.ts';
import { GateError, refuse } from './refusal.ts';

/** Every entry calls this before it reads its configuration. */
export function requireGate(): VerifiedProgram {
  const program = verifiedProgram();
  if (program === undefined) refuse(new GateError('bypassed', 'this is the program itself, not its loader'));
  return program;
}

/** Errors as a person reads them: the cause, the places, then what to do. The only mapping from errors to exit codes. */
import { CommanderError } from 'commander';
import { AccessError } from '../lib/access/errors.ts';
import { AuditError } from '../lib/audit/port.ts';
import { CryptoError } from '../lib/crypto/errors.ts';
import { IdentityError } from '../lib/identity/errors.ts';
import { KeysError } from '../lib/keys/port.ts';
import { PolicyError } from '../lib/policy/errors.ts';
import { formatProblem } from '../lib/policy/problem.ts';
import { StoreError } from '../lib/store/port.ts';
import { CliError, type ExitName } from './errors.ts';
import { printable } from './printable.ts';

/** Makes one error of whatever was thrown. */
export function toCliError(error: unknown): CliError {
  if (error instanceof CliError) return error;
  if (error instanceof CommanderError) return usage(error);
  if (error instanceof PolicyError) return fromPolicy(error);
  if (error instanceof AuditError) return new CliError(verificationOr(error.code), error.message, { cause: error });
  if (
    error instanceof AccessError ||
    error instanceof CryptoError ||
    error instanceof IdentityError ||
    error instanceof KeysError ||
    error instanceof StoreError
  )
    return new CliError('failure', error.message, { cause: error });
  return fromSystem(error);
}

/** `error: …`, places, `hint: …`; safe to print whatever the parts came from. */
export function formatError(error: CliError): string {
  const lines = [
    `error: ${printable(error.message)}`,
    ...error.details.flatMap((detail) => detail.split('\n')).map((line) => `  ${printable(line)}`),
    ...(error.hint === undefined ? [] : [`hint: ${printable(error.hint)}`]),
  ];
  return `${lines.join('\n')}\n`;
}

function usage(error: CommanderError): CliError {
  // Commander says "error: …" itself, and puts its suggestion on a second line.
  const [message = '', ...rest] = error.message.replace(/^error: /, '').split('\n');
  if (error.code === 'commander.help') return new CliError('usage', 'which command?', { hint: 'see --help' });
  return new CliError('usage', message, { details: rest.filter((line) => line !== ''), hint: 'see --help' });
}

function fromPolicy(error: PolicyError): CliError {
  const place = error.file === undefined ? '' : `${[error.file, error.line, error.column].filter(Boolean).join(':')}: `;
  return new CliError('failure', `${place}${error.message}`, {
    details: (error.problems ?? []).map(formatProblem),
    hint: error.hint,
    cause: error,
  });
}

function verificationOr(code: AuditError['code']): ExitName {
  return code === 'not_authentic' || code === 'corrupt' || code === 'malformed' ? 'verification' : 'failure';
}

const systemCauses: { readonly [code: string]: readonly [cause: string, hint: string] } = {
  ENOENT: ['no such file or directory', 'check the path'],
  EACCES: ['permission denied', 'use an account that may, or another path'],
  EPERM: ['operation not permitted', 'use an account that may, or another path'],
  EROFS: ['the file system is read-only', 'name a directory that can be written to'],
  ENOSPC: ['no space left on the device', 'make room, then run this again: nothing half-done was left'],
  EISDIR: ['is a directory', 'name a file'],
  ENOTDIR: ['is not a directory', 'name a directory'],
  EEXIST: ['exists already', 'name another path'],
};

function fromSystem(error: unknown): CliError {
  const { code, path, message, stack } = error as NodeJS.ErrnoException;
  const known = code === undefined ? undefined : systemCauses[code];
  if (known !== undefined)
    return new CliError('failure', `${path === undefined ? '' : `${path}: `}${known[0]}`, {
      hint: known[1],
      cause: error,
    });
  // Not expected: the stack is what whoever mends it needs.
  return new CliError('failure', `unexpected: ${message ?? String(error)}`, {
    details: stack?.split('\n').slice(1, 6) ?? [],
    cause: error,
  });
}

/** From here on, code comes from verified memory: the module loader gets the bytes that were judged, and no file. */
import { isBuiltin, registerHooks } from 'node:module';
import { pathToFileURL } from 'node:url';
import type { VerifiedProgram } from '../lib/crypto/program.ts';
import { GateError } from './refusal.ts';

/**
 * `alone`: the process holds no code but this program, so nothing else may be loaded at all. In a Lambda function the
 * runtime has its own modules: there, what verified code asks for must be verified.
 */
export function serveFromMemory(
  { files, directory }: VerifiedProgram,
  { alone }: { readonly alone: boolean },
): (path: string) => string {
  const base = `${pathToFileURL(directory).href}/`;
  const verified = (url: string) => (url.startsWith(base) ? files.get(decodeURI(url.slice(base.length))) : undefined);
  const ours = (url: string | undefined) => alone || url === undefined || url.startsWith(base);
  registerHooks({
    resolve(specifier, context, next) {
      if (isBuiltin(specifier)) return next(specifier, context);
      const url = resolveWithin(specifier, context.parentURL);
      if (verified(url) !== undefined) return { url, format: 'module', shortCircuit: true };
      if (ours(context.parentURL)) throw notVerified(specifier);
      return next(specifier, context);
    },
    load(url, context, next) {
      const source = verified(url);
      if (source !== undefined) return { format: 'module', source: Buffer.from(source), shortCircuit: true };
      if (url.startsWith(base) || (alone && !isBuiltin(url))) throw notVerified(url);
      return next(url, context);
    },
  });
  return (path) => base + path;
}

function resolveWithin(specifier: string, parent: string | undefined): string {
  try {
    return new URL(specifier, parent).href;
  } catch {
    return specifier; // a bare name, which no verified file has
  }
}

function notVerified(what: string): GateError {
  return new GateError('file_extra', `${JSON.stringify(what.slice(0, 200))} is not part of what was verified`);
}

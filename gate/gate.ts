/** The startup gate: nothing is imported before all of it is verified, and then from the bytes that were verified. */
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setVerifiedProgram } from '../lib/crypto/program.ts';
import type { GateConfig } from './config.ts';
import { serveFromMemory } from './hooks.ts';
import { refuse } from './refusal.ts';
import { cleanSurroundings } from './surroundings.ts';
import { verifyProgram } from './verify.ts';

/** `url` is the entry's, beside which everything lies. Returns the URL of the program to import, or ends with 78. */
export function passGate(url: string, config: GateConfig): string {
  try {
    const loader = fileURLToPath(url);
    const removed = config.ownProcess
      ? cleanSurroundings({
          execPath: process.execPath,
          execArgv: process.execArgv,
          argv: [loader, ...process.argv.slice(2)],
          env: process.env,
          execute: process.execve && ((file, args, env) => process.execve?.(file, args, env)),
        })
      : [];
    const program = verifyProgram(config, dirname(loader), Date.now(), removed);
    setVerifiedProgram(program);
    return serveFromMemory(program, { alone: config.ownProcess })(config.program);
  } catch (error) {
    return refuse(error);
  }
}

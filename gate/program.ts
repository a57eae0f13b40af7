/** The loader of a program that has a process of its own: nothing is imported before all of it is verified. */
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setVerifiedProgram } from '../lib/crypto/program.ts';
import type { GateConfig } from './config.ts';
import { serveFromMemory } from './hooks.ts';
import { refuse } from './refusal.ts';
import { cleanSurroundings } from './surroundings.ts';
import { verifyProgram } from './verify.ts';

/** The build puts a literal here. */
declare const HOLDFAST_GATE: GateConfig;

await import(passGate(HOLDFAST_GATE));

function passGate(config: GateConfig): string {
  try {
    const self = fileURLToPath(import.meta.url);
    const removed = cleanSurroundings({
      execPath: process.execPath,
      execArgv: process.execArgv,
      argv: [self, ...process.argv.slice(2)],
      env: process.env,
      execute: process.execve && ((file, args, env) => process.execve?.(file, args, env)),
    });
    const program = verifyProgram(config, dirname(self), Date.now(), removed);
    setVerifiedProgram(program);
    return serveFromMemory(program, { alone: true })(config.program);
  } catch (error) {
    return refuse(error);
  }
}

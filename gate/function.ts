/** The loader of a Lambda function: verifies at init, beside AWS's own code signing, and exports the handler. */
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setVerifiedProgram } from '../lib/crypto/program.ts';
import type { GateConfig } from './config.ts';
import { serveFromMemory } from './hooks.ts';
import { refuse } from './refusal.ts';
import { verifyProgram } from './verify.ts';

/** The build puts a literal here. */
declare const HOLDFAST_GATE: GateConfig;

export const { handler } = (await import(passGate(HOLDFAST_GATE))) as { readonly handler: unknown };

function passGate(config: GateConfig): string {
  try {
    const program = verifyProgram(config, dirname(fileURLToPath(import.meta.url)), Date.now(), []);
    setVerifiedProgram(program);
    return serveFromMemory(program, { alone: false })(config.program);
  } catch (error) {
    return refuse(error);
  }
}

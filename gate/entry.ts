/**
 * The loader: what Node is given to run, and the only file that nobody verifies before it runs. So it is short. It holds
 * the keys and the digest of the gate, and runs the gate from the very bytes that it hashed.
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeSync } from 'node:fs';
import { type GateConfig, gateFile } from './config.ts';
import type { passGate } from './gate.ts';

/** The build puts literals here. */
declare const HOLDFAST_GATE: GateConfig;
declare const HOLDFAST_GATE_SHA256: string;

const gate = (await import(verifiedGate())) as { readonly passGate: typeof passGate };

/** Only a Lambda function has one. */
export const { handler } = (await import(gate.passGate(import.meta.url, HOLDFAST_GATE))) as {
  readonly handler?: unknown;
};

function verifiedGate(): string {
  try {
    const bytes = readFileSync(new URL(gateFile, import.meta.url));
    if (createHash('sha256').update(bytes).digest('hex') === HOLDFAST_GATE_SHA256) {
      return `data:text/javascript;base64,${bytes.toString('base64')}`;
    }
    writeSync(2, `HOLDFAST_GATE_FILE_ALTERED: nothing was started: ${gateFile} is not the one of this loader; `);
  } catch (error) {
    writeSync(2, `HOLDFAST_GATE_FILE_MISSING: nothing was started: ${gateFile}: ${(error as Error).message}; `);
  }
  writeSync(2, 'find out who changed it, then install the release again\n');
  process.exit(78);
}

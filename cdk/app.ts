/** What the CDK command runs: `cdk.json` names it. */
import { join } from 'node:path';
import { buildApp } from './build-app.ts';

try {
  buildApp({ bundles: join(import.meta.dirname, '../dist/functions') }).app.synth();
} catch (error) {
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

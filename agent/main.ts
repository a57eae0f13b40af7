/** The entry of the command `holdfast-agent` in a checkout. The one-file build has its own, in single/. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { checkoutTrees } from './checkout.ts';
import { runAgentProcess } from './process.ts';
import { refuseUpdates } from './updater/updates.ts';

const manifest = z.object({ version: z.string() });
const { version } = manifest.parse(JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')));

process.exitCode = await runAgentProcess(process.argv.slice(2), {
  agentVersion: version,
  programTrees: checkoutTrees,
  updates: (logger) => refuseUpdates('not_one_file', { logger, now: Date.now, version }),
});

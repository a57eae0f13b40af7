/** The program behind the loader `holdfast-agent`, in a checkout and in an archive. The one-file build has its own, in single/. */
import { requireGate } from '../gate/required.ts';
import { runAgentProcess } from './process.ts';
import { refuseUpdates } from './updater/updates.ts';

const { version, directory } = requireGate();

process.exitCode = await runAgentProcess(process.argv.slice(2), {
  agentVersion: version,
  programTrees: [directory, process.execPath],
  updates: (logger) => refuseUpdates('not_one_file', { logger, now: Date.now, version }),
});

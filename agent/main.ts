/** The program behind the loader `holdfast-agent`, in a checkout and in an archive. The one-file build has its own, in single/. */
import { requireGate } from '../gate/required.ts';
import { createProbe } from '../lib/hardening/probe.ts';
import { createProcessWatch } from '../lib/hardening/watch.ts';
import { runAgentProcess } from './process.ts';
import { refuseUpdates } from './updater/updates.ts';

const program = requireGate();
const { version, directory } = program;

process.exitCode = await runAgentProcess(process.argv.slice(2), {
  agentVersion: version,
  watch: createProcessWatch(createProbe(program), Date.now),
  programTrees: [directory, process.execPath],
  updates: (logger) => refuseUpdates('not_one_file', { logger, now: Date.now, version }),
});

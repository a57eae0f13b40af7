/** A control plane in a process of its own that logs everything there is to log: `canary-server.ts STATE OPERATOR_KEY_LINE LOG`. */
import { pino } from 'pino';
import { startStandalone } from '../../functions/standalone/compose.ts';
import { keepMemoryOutOfCores } from '../../lib/secrets/core-dumps.ts';

// As the program itself does, functions/standalone/main.ts.
keepMemoryOutOfCores();

const [state = '', operatorKey = '', log = ''] = process.argv.slice(2);
const server = await startStandalone({
  stateDirectory: state,
  version: '0.0.0',
  logger: pino({ level: 'trace' }, pino.destination({ dest: log, sync: true })),
  founding: { name: 'canary', operatorKeys: [operatorKey], threshold: 1 },
});
process.stdout.write(`${server.url}\n`);

/** What `npm start` runs: the demonstration, through the startup gate. The build lies in the state directory, as everything does. */
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { launchVerified } from '../../build/launch.mjs';

// What is wrong with the arguments, the program says.
const { values } = parseArgs({ options: { state: { type: 'string' } }, strict: false });
const state = resolve(typeof values.state === 'string' ? values.state : '.holdfast');
await launchVerified(import.meta.url, 'server/start.mjs', join(state, 'build'));

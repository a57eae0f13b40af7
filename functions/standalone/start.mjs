/** What `npm start` runs: finds a Node that can run the product, and runs the demonstration there. */
import { launch } from '../../cli/launch.mjs';

await launch(new URL('./main.ts', import.meta.url));

/**
 * `npm run test:shells`: Bash and dash judge the shell parser. Every script of this machine, and thousands that are made
 * up, are read by all three: what one of the shells accepts must parse. Without the shells it is skipped, loudly.
 */
import { launch } from '../../cli/launch.mjs';

await launch(new URL('./judge.ts', import.meta.url));

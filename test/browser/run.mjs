/**
 * `npm run test:browser`: signs in by all three methods in a real, headless Chromium, and looks at what each role sees.
 * Apart from `npm test`, because a browser is not everywhere: without one it says so and ends with 0.
 */
import { launch } from '../../cli/launch.mjs';

await launch(new URL('./sign-in.ts', import.meta.url));

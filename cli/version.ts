/** The product's version. */
import { programVersion } from '../lib/crypto/program.ts';

export const productVersion = programVersion(new URL('../package.json', import.meta.url));

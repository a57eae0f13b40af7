/** The agent as it runs from a checkout: the product's own files, and what it was made from. */
import { fileURLToPath } from 'node:url';

/** Empty in the one-file build, which has no files but itself. */
export const checkoutTrees: readonly string[] =
  import.meta.url === undefined
    ? []
    : ['agent', 'cli', 'functions', 'lib', 'node_modules', 'package.json'].map((name) =>
        fileURLToPath(new URL(`../${name}`, import.meta.url)),
      );

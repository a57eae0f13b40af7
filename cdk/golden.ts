/** The reviewed templates in `cdk/golden`, one folder for each profile. What changes in them is seen in review. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Template, Templates } from './testing.ts';

const directory = join(import.meta.dirname, 'golden');

export function readGolden(profile: string): Templates {
  const folder = join(directory, profile);
  return Object.fromEntries(
    readdirSync(folder).map((file) => [
      file.slice(0, -'.json'.length),
      JSON.parse(readFileSync(join(folder, file), 'utf8')) as Template,
    ]),
  );
}

export function writeGolden(profile: string, templates: Templates): void {
  mkdirSync(join(directory, profile), { recursive: true });
  for (const [stack, template] of Object.entries(normalise(templates))) {
    writeFileSync(join(directory, profile, `${stack}.json`), `${JSON.stringify(template, undefined, 1)}\n`);
  }
}

/** Without the digests of the programs, which change with every commit. */
export function normalise(templates: Templates): Templates {
  return JSON.parse(JSON.stringify(templates).replaceAll(/"[0-9a-f]{64}\.zip"/g, '"program.zip"')) as Templates;
}

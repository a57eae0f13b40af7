/**
 * The golden files of the mappings, one for each operation: an entry and what it becomes in each schema.
 * `node test/siem/golden.ts` writes them anew; what changed is then to be read, as somebody's rules depend on it.
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import { mappings } from '../../lib/siem/config.ts';
import type { EntryEvent } from '../../lib/siem/event.ts';
import { mapToText } from '../../lib/siem/mappings/map.ts';
import { specimens, testLog } from '../fakes/siem-events.ts';

export const goldenFolder = fileURLToPath(new URL('../../lib/siem/mappings/golden/', import.meta.url));

/** By file name. Where an entry stands is the same in all of them, so that a new operation changes no other's file. */
export function goldenFiles(): ReadonlyMap<string, string> {
  return new Map(specimens().map((event) => [`${event.entry.op.type}.txt`, format(event)]));
}

function format(event: EntryEvent): string {
  const alike: EntryEvent = {
    ...event,
    id: `${testLog}:7`,
    seq: 7,
    dseq: 5,
    chain: 'c'.repeat(64),
    previous: 'b'.repeat(64),
  };
  return mappings.map((mapping) => `${mapping}\n${mapToText(mapping, alike, { log: testLog })}\n`).join('');
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  mkdirSync(goldenFolder, { recursive: true });
  for (const name of readdirSync(goldenFolder)) rmSync(`${goldenFolder}${name}`);
  for (const [name, text] of goldenFiles()) writeFileSync(`${goldenFolder}${name}`, text);
}

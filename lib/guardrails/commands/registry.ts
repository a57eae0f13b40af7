/** The registry of judges: every program of which we know what it can do, by its name. */
import { accountJudges } from './accounts.ts';
import { diskJudges } from './disks.ts';
import { downloadJudges } from './downloads.ts';
import { fileSystemJudges } from './file-systems.ts';
import { fileJudges } from './files.ts';
import { findJudges } from './find.ts';
import type { Judge } from './judge.ts';
import { machineJudges } from './machine.ts';
import { modeJudges } from './modes.ts';
import { networkJudges } from './network.ts';
import { otherJudges } from './others.ts';
import { packageJudges } from './packages.ts';
import { serviceJudges } from './services.ts';
import { targetJudges } from './targets.ts';

export const judges: ReadonlyMap<string, Judge> = [
  accountJudges,
  diskJudges,
  downloadJudges,
  fileSystemJudges,
  fileJudges,
  findJudges,
  machineJudges,
  modeJudges,
  networkJudges,
  otherJudges,
  packageJudges,
  serviceJudges,
  targetJudges,
]
  .flatMap((table) => Object.entries(table))
  .reduce((all, [name, judge]) => all.set(name, both(all.get(name), judge)), new Map<string, Judge>());

/** A program may be known for more than one thing. */
function both(one: Judge | undefined, other: Judge): Judge {
  if (one === undefined) return other;
  return (call, again) => {
    one(call, again);
    other(call, again);
  };
}

/** The registry of judges: every program of which we know what it can do, by its name. */
import { accountJudges } from './accounts.ts';
import { diskJudges } from './disks.ts';
import { fileJudges } from './files.ts';
import { findJudges } from './find.ts';
import type { Judge } from './judge.ts';
import { machineJudges } from './machine.ts';
import { modeJudges } from './modes.ts';
import { networkJudges } from './network.ts';
import { otherJudges } from './others.ts';
import { packageJudges } from './packages.ts';
import { serviceJudges } from './services.ts';

export const judges: ReadonlyMap<string, Judge> = new Map(
  [
    accountJudges,
    diskJudges,
    fileJudges,
    findJudges,
    machineJudges,
    modeJudges,
    networkJudges,
    otherJudges,
    packageJudges,
    serviceJudges,
  ].flatMap((table) => Object.entries(table)),
);

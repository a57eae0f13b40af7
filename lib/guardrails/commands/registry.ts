/** The registry of judges: every program of which we know what it can do, by its name. */
import { accountJudges } from './accounts.ts';
import { codeOptionJudges } from './code-options.ts';
import { compilerJudges } from './compilers.ts';
import { diskJudges } from './disks.ts';
import { downloadJudges } from './downloads.ts';
import { fileSystemJudges } from './file-systems.ts';
import { fileJudges } from './files.ts';
import { findJudges } from './find.ts';
import { firewallJudges } from './firewall.ts';
import type { Judge } from './judge.ts';
import { lineCommandJudges } from './line-commands.ts';
import { machineJudges } from './machine.ts';
import { managerJudges } from './managers.ts';
import { modeJudges } from './modes.ts';
import { networkJudges } from './network.ts';
import { otherJudges } from './others.ts';
import { outputOptionJudges } from './output-options.ts';
import { packageJudges } from './packages.ts';
import { removerJudges } from './removers.ts';
import { serviceJudges } from './services.ts';
import { targetJudges } from './targets.ts';

export const judges: ReadonlyMap<string, Judge> = [
  accountJudges,
  codeOptionJudges,
  compilerJudges,
  diskJudges,
  downloadJudges,
  fileSystemJudges,
  fileJudges,
  findJudges,
  firewallJudges,
  lineCommandJudges,
  machineJudges,
  managerJudges,
  modeJudges,
  networkJudges,
  otherJudges,
  outputOptionJudges,
  packageJudges,
  removerJudges,
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

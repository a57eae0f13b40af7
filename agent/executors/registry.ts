/** The registry of executors: every resource type that an agent knows, by its name in a crate. */
import type { AnyExecutor, Executors } from '../executor.ts';
import { archive } from './archive.ts';
import { authorizedKey } from './authorized-key.ts';
import { block } from './block.ts';
import { cron } from './cron.ts';
import { directory } from './directory.ts';
import { exec } from './exec.ts';
import { file } from './file.ts';
import { git } from './git.ts';
import { group } from './group.ts';
import { hostname } from './hostname.ts';
import { ini } from './ini.ts';
import { json } from './json.ts';
import { line } from './line.ts';
import { mount } from './mount.ts';
import { packageExecutor } from './package.ts';
import { repository } from './repository.ts';
import { service } from './service.ts';
import { symlink } from './symlink.ts';
import { sysctl } from './sysctl.ts';
import { timezone } from './timezone.ts';
import { user } from './user.ts';

const all: readonly AnyExecutor[] = [
  file,
  directory,
  symlink,
  line,
  block,
  ini,
  json,
  packageExecutor,
  repository,
  service,
  user,
  group,
  authorizedKey,
  cron,
  sysctl,
  mount,
  hostname,
  timezone,
  git,
  archive,
  exec,
];

export const executors: Executors = new Map(all.map((executor) => [executor.name, executor]));

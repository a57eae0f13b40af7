/** The registry of executors: every resource type that an agent knows, by its name in a crate. */
import type { AnyExecutor, Executors } from '../executor.ts';
import { directory } from './directory.ts';
import { exec } from './exec.ts';
import { file } from './file.ts';
import { line } from './line.ts';
import { symlink } from './symlink.ts';

const all: readonly AnyExecutor[] = [file, directory, symlink, line, exec];

export const executors: Executors = new Map(all.map((executor) => [executor.name, executor]));

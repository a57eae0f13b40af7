/** Where the verbs of the audit log find a log and its key when both come from the command line. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { LogSource } from '../../lib/audit/publication.ts';
import { openDirectorySource } from '../../lib/audit/source-directory.ts';
import { openUrlSource } from '../../lib/audit/source-url.ts';
import { readOwnFleet } from '../fleet.ts';
import type { Terminal } from '../terminal.ts';

export const keyOption = ['--log-key <key>', 'public key of the log, as NAME+HASH+BASE64'] as const;

export function isUrl(log: string): boolean {
  return /^https?:\/\//.test(log);
}

/** A directory or a URL. */
export function openSource(log: string): LogSource {
  return isUrl(log) ? openUrlSource(log) : openDirectorySource(log);
}

/** The key must come from elsewhere than the log: from the operator, and only for want of that from the log itself. */
export async function readKey(
  log: string,
  flags: { readonly logKey?: string; readonly fleet?: string },
  command: Command,
  terminal: Terminal,
): Promise<string> {
  if (flags.logKey !== undefined) return flags.logKey;
  try {
    return (await readOwnFleet(command)).descriptor.log.key;
  } catch (error) {
    const included = isUrl(log) ? undefined : await readFile(join(log, 'key.txt'), 'utf8').catch(() => undefined);
    if (flags.fleet !== undefined || included === undefined) throw error;
    terminal.err(
      'warning: verified with the key that lies in the folder itself, which shows only that the folder is consistent\n' +
        "hint: give the log's key with --log-key, or the operator's copy of the fleet descriptor with --fleet\n",
    );
    return included.trim();
  }
}

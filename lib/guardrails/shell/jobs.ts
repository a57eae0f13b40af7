/** Jobs: the lines of a table for `cron`. */

/** A line of `crontab`: five fields or a nickname, then the command. */
export const jobPattern = /^\s*(?:@\w+|(?:\S+\s+){4}\S+)\s+(.+)$/;

export function runJob(line: string, run: (code: string) => string, pattern: RegExp): void {
  const command = pattern.exec(line)?.[1];
  if (command !== undefined && !/^\s*\w+\s*=/.test(line))
    run(command.replace(/(?<!\\)%[\s\S]*$/, '').replaceAll('\\%', '%'));
}

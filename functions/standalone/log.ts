/** The server's log: pino, one JSON object a line. Fields that could hold a credential are cut out before they are written. */
import { closeSync, fstatSync, openSync, writeSync } from 'node:fs';
import { type DestinationStream, type Logger, pino } from 'pino';

/** `destination` is a file of the state directory (0600) or a stream such as standard error. */
export function createServerLog(destination: string | DestinationStream): Logger {
  const stream = typeof destination === 'string' ? appendTo(destination) : destination;
  return pino({ base: null, timestamp: pino.stdTimeFunctions.isoTime, redact: ['*.authorization', '*.token'] }, stream);
}

/**
 * Synchronous: the last lines before a crash are the ones that matter, and the request path logs nothing. A disk that is
 * full, or a file that was removed, costs log lines and never the service: errors go to standard error meanwhile, what
 * was lost is counted, and said in the log once it can be written again.
 */
function appendTo(path: string): DestinationStream {
  let fd: number | undefined;
  let lost = 0;
  const append = (line: string) => {
    if (fd !== undefined && fstatSync(fd).nlink === 0) {
      closeQuietly(fd);
      fd = undefined;
    }
    fd ??= openSync(path, 'a', 0o600);
    const bytes = Buffer.from(line);
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
  };
  const open = () => append(''); // A path that can't be a log at all is an error of the start.
  open();
  return {
    write(line) {
      try {
        // What was cut off by the full disk ends here, so that each line is one object again.
        if (lost > 0)
          append(`\n${JSON.stringify({ level: 50, time: new Date().toISOString(), lost, msg: lostText })}\n`);
        lost = 0;
        append(line);
      } catch (error) {
        if (lost === 0)
          process.stderr.write(`warning: ${path} can't be written (${codeOf(error)}); log lines are lost\n`);
        lost += 1;
        if (isError(line)) process.stderr.write(line);
        if (codeOf(error) !== 'ENOSPC' && fd !== undefined) {
          closeQuietly(fd);
          fd = undefined;
        }
      }
    },
  };
}

const lostText = 'Log lines were lost, because the log could not be written.';

/** pino writes the level first; 50 is an error, 60 is fatal. */
function isError(line: string): boolean {
  return /^\{"level":[56]0,/.test(line);
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}

function closeQuietly(fd: number): void {
  try {
    closeSync(fd);
  } catch {
    // It was of no use any more.
  }
}

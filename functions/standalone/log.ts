/** The server's log: pino, one JSON object a line. Fields that could hold a credential are cut out before they are written. */
import { type DestinationStream, type Logger, pino } from 'pino';

/** `destination` is a file of the state directory (0600) or a stream such as standard error. */
export function createServerLog(destination: string | DestinationStream): Logger {
  const stream =
    typeof destination === 'string'
      ? // Synchronous: the last lines before a crash are the ones that matter, and the request path logs nothing.
        pino.destination({ dest: destination, append: true, mode: 0o600, sync: true })
      : destination;
  return pino({ base: null, timestamp: pino.stdTimeFunctions.isoTime, redact: ['*.authorization', '*.token'] }, stream);
}

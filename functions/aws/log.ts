/** The functions' log: pino on standard output, which AWS collects. Fields that could hold a credential are cut out. */
import { type Logger, pino } from 'pino';

export function createFunctionLog(name: string): Logger {
  const redact = ['*.authorization', '*.token', '*.cookie', 'authorization', 'token', 'cookie'];
  return pino({ base: { function: name }, timestamp: pino.stdTimeFunctions.isoTime, redact });
}

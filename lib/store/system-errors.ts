/** What a file system error means for the store: its code, and a remedy that an operator can act on. */
import { StoreError } from './port.ts';

/** `subject` names what was touched, as the start of a sentence: `store "/path"`. */
export function fromSystemError(error: unknown, subject: string): StoreError {
  if (error instanceof StoreError) return error;
  const options = { cause: error };
  switch ((error as NodeJS.ErrnoException | null)?.code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new StoreError(
        'full',
        `${subject} has no space left on its disk; free some, nothing was written`,
        options,
      );
    case 'EROFS':
    case 'EACCES':
    case 'EPERM':
      return new StoreError(
        'read_only',
        `${subject} cannot be accessed; give this user read and write permission on the file and its directory`,
        options,
      );
    default: {
      const reason = error instanceof Error ? error.message : String(error);
      return new StoreError('unavailable', `${subject} failed: ${reason}`, options);
    }
  }
}

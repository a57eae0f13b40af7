/**
 * Keeps secrets out of core dumps: a core of this process holds none of its memory, whatever the machine does with cores.
 * What Node can't do is said plainly: it has no prctl(2), so PR_SET_DUMPABLE stays as it is, and a debugger of the same
 * user or of root can still attach where the machine allows that (Yama, `kernel.yama.ptrace_scope`).
 */
import { writeFileSync } from 'node:fs';

/** core(5), "Controlling which mappings are written to the core dump". False where the kernel has no such file. */
export function keepMemoryOutOfCores(path = '/proc/self/coredump_filter'): boolean {
  try {
    writeFileSync(path, '0x0\n');
    return true;
  } catch {
    return false;
  }
}

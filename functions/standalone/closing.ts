/** What must be closed, in the reverse of the order in which it was opened, each once, whatever the others do. */

/** For one step. A store whose disk is gone may never answer, and a stop must end all the same. */
const stepDeadlineMs = 10_000;

export function closingStack(deadlineMs = stepDeadlineMs) {
  const steps: (() => unknown)[] = [];
  let running: Promise<void> | undefined;
  return {
    add(step: () => unknown): void {
      steps.push(step);
    },
    /** Runs every step, then rejects with the first failure. Calling again waits for the same run. */
    run(): Promise<void> {
      running ??= runAll(steps, deadlineMs);
      return running;
    },
  };
}

async function runAll(steps: (() => unknown)[], deadlineMs: number): Promise<void> {
  const failures: unknown[] = [];
  for (let step = steps.pop(); step !== undefined; step = steps.pop()) {
    try {
      await withDeadline(step, deadlineMs);
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}

async function withDeadline(step: () => unknown, deadlineMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`a part of the server did not stop within ${deadlineMs} ms`)),
      deadlineMs,
    );
  });
  try {
    await Promise.race([Promise.resolve().then(step), late]);
  } finally {
    clearTimeout(timer);
  }
}

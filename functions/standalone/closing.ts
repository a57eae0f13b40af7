/** What must be closed, in the reverse of the order in which it was opened, each once, whatever the others do. */

export function closingStack() {
  const steps: (() => unknown)[] = [];
  let running: Promise<void> | undefined;
  return {
    add(step: () => unknown): void {
      steps.push(step);
    },
    /** Runs every step, then rejects with the first failure. Calling again waits for the same run. */
    run(): Promise<void> {
      running ??= runAll(steps);
      return running;
    },
  };
}

async function runAll(steps: (() => unknown)[]): Promise<void> {
  const failures: unknown[] = [];
  for (let step = steps.pop(); step !== undefined; step = steps.pop()) {
    try {
      await step();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}

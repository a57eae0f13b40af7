/**
 * A process of its own that converges resources, so that it can be killed for real, and watched by strace.
 * Its one argument is a JSON file: see `ChildTask`.
 */
import { accessSync, readFileSync } from 'node:fs';
import { type Declared, loadBlobs, run } from './executor-fixture.ts';

export type ChildTask = {
  readonly resources: readonly Declared[];
  readonly blobs: { readonly [sha256: string]: string };
  /** Dies by SIGKILL just before the step of this number, from 0. */
  readonly killAt?: number;
  /** Dry run, apply, and apply again, with a marker in the trace before each. */
  readonly isTraced?: boolean;
};

/** Looked up, and never there: it shows in a trace where a phase begins. */
export const marker = (phase: 'dry-run' | 'first' | 'second' | 'end') => `/holdfast-marker-${phase}`;

if (import.meta.main) {
  const task: ChildTask = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8'));
  loadBlobs(task.blobs);
  if (task.isTraced === true) {
    mark('dry-run');
    const dryRun = await run(task.resources, { dryRun: true });
    mark('first');
    const first = await run(task.resources);
    mark('second');
    const second = await run(task.resources);
    mark('end');
    process.stdout.write(JSON.stringify({ dryRun, first, second }));
  } else {
    let steps = 0;
    const step = () => {
      if (steps === task.killAt) {
        process.kill(process.pid, 'SIGKILL');
      }
      steps += 1;
    };
    process.stdout.write(JSON.stringify(await run(task.resources, { step })));
  }
}

function mark(phase: Parameters<typeof marker>[0]): void {
  try {
    accessSync(marker(phase));
  } catch (_neverThere) {
    // Only the attempt matters.
  }
}

/** What the demonstration prints: each step one line, with its proof. */
import { performance } from 'node:perf_hooks';

/** A step whose proof did not hold. */
export class DemoFailure extends Error {
  override readonly name = 'DemoFailure';
  readonly step: string;
  constructor(step: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.step = step;
  }
}

export type DemoReport = {
  /** Runs a step and prints what it proves. Throws `DemoFailure`. */
  step<T>(title: string, act: () => Promise<readonly [proof: string, result: T]>): Promise<T>;
  line(text?: string): void;
  readonly seconds: () => string;
};

const titleWidth = 30;

export function createDemoReport(out: (text: string) => void): DemoReport {
  const started = performance.now();
  let count = 0;
  return {
    async step(title, act) {
      count += 1;
      const head = `${String(count).padStart(2)}  ${title}`;
      try {
        const [proof, result] = await act();
        const [first = '', ...rest] = proof.split('\n');
        out(`${head.padEnd(titleWidth)} ${first}\n`);
        for (const line of rest) out(`${' '.repeat(titleWidth)} ${line}\n`);
        return result;
      } catch (error) {
        throw new DemoFailure(title, error instanceof Error ? error.message : String(error), { cause: error });
      }
    },
    line: (text = '') => out(`${text}\n`),
    seconds: () => ((performance.now() - started) / 1000).toFixed(1),
  };
}

/** Throws unless it holds; `what` says what was expected. */
export function prove(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

/** What each verifier said, line by line. */

export type Report = {
  check(verifier: string, what: string, isAsExpected: boolean, said: string): void;
  /** Loud: nobody takes what was left out for what passed. */
  skip(verifier: string, reason: string): void;
  /** The exit code. */
  end(): number;
};

export function createReport(): Report {
  let passed = 0;
  let failed = 0;
  const skipped: string[] = [];
  return {
    check(verifier, what, isAsExpected, said) {
      if (isAsExpected) passed += 1;
      else failed += 1;
      const first = said.trim().split('\n')[0] ?? '';
      process.stdout.write(`${isAsExpected ? 'ok  ' : 'FAIL'}  ${verifier}: ${what}  (${first.slice(0, 100)})\n`);
    },
    skip(verifier, reason) {
      skipped.push(`${verifier}: ${reason}`);
    },
    end() {
      for (const each of skipped) process.stdout.write(`SKIPPED  ${each}\n`);
      process.stdout.write(`${passed} as expected, ${failed} not, ${skipped.length} skipped\n`);
      return failed > 0 || passed === 0 ? 1 : 0;
    },
  };
}

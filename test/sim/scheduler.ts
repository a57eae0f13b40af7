/** One seeded scheduler: everything that happens waits its turn here, and the seed alone decides whose turn it is. */

export type Random = () => number;

/** Mulberry32: 32 bits of state, the same on every machine. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export type Scheduler = {
  /** Runs `act` when its turn comes. */
  turn<T>(act: () => Promise<T> | T): Promise<T>;
  /** Lets turns be taken until the work is done. Throws when nothing is left to do and it is not. */
  run<T>(work: Promise<T>): Promise<T>;
  readonly steps: number;
};

/** More turns than any run needs: what goes on beyond them is stuck. */
const maxSteps = 50_000;

/** So often, and for so many turns, something takes long: others then get far ahead, which a fair order never lets them. */
const stalled = 0.08;
const maxStall = 80;

export function createScheduler(random: Random): Scheduler {
  const waiting: { readonly run: () => void; readonly from: number }[] = [];
  let steps = 0;

  return {
    get steps() {
      return steps;
    },
    turn(act) {
      return new Promise((resolve, reject) => {
        const run = () => void Promise.resolve().then(act).then(resolve, reject);
        waiting.push({ run, from: random() < stalled ? steps + Math.floor(random() * maxStall) : steps });
      });
    },
    async run(work) {
      let ended = false;
      const done = work.finally(() => {
        ended = true;
      });
      done.catch(() => undefined);
      while (!ended) {
        await settled();
        if (ended) break;
        const ready = waiting.filter(({ from }) => from <= steps);
        const among = ready.length > 0 ? ready : waiting;
        const next = among[Math.floor(random() * among.length)];
        if (next === undefined || steps >= maxSteps) throw new Error(`stuck after ${steps} turns`);
        waiting.splice(waiting.indexOf(next), 1);
        steps += 1;
        next.run();
      }
      return done;
    },
  };
}

/** Until every promise that can resolve has. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

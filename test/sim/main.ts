/** `npm run test:sim -- [--seeds N] [--runs M] [--from SEED]`: many interleavings; prints the seed and run that break one. */
import { parseArgs } from 'node:util';
import { simulate } from './world.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '100' },
    runs: { type: 'string', default: '100' },
    from: { type: 'string', default: '1' },
  },
});
const [seeds, runs, from] = [Number(values.seeds), Number(values.runs), Number(values.from)];
let turns = 0;
for (let seed = from; seed < from + seeds; seed++) {
  for (let run = 0; run < runs; run++) {
    try {
      turns += await simulate(seed, run);
    } catch (error) {
      process.stderr.write(`error: seed ${seed}, run ${run}: ${error}\n`);
      process.stderr.write(`hint: again with --from ${seed} --seeds 1 --runs ${run + 1}\n`);
      process.exit(1);
    }
  }
}
process.stdout.write(`${seeds * runs} interleavings over ${seeds} seeds, ${turns} turns: every invariant holds\n`);

/**
 * `npm run diff:permissions`: fails when this tree's deployment may do more, or is open to more, than the reviewed
 * templates. `-- --accept` takes this tree's templates as reviewed; the commit that carries them is the review.
 */
import { readGolden, writeGolden } from './golden.ts';
import { broadenings } from './permissions.ts';
import { profileNames, synthesize } from './testing.ts';

const accept = process.argv.includes('--accept');
for (const profile of profileNames) {
  const templates = synthesize({ profile });
  if (accept) {
    writeGolden(profile, templates);
    continue;
  }
  for (const { stack, what } of broadenings(readGolden(profile), templates)) {
    process.stderr.write(`${profile}/${stack}: ${what}\n`);
    process.exitCode = 1;
  }
}
if (process.exitCode === 1) {
  process.stderr.write('error: permissions are broader than what was reviewed\n');
  process.stderr.write('hint: when that is meant, npm run diff:permissions -- --accept, and say why in the commit\n');
} else
  process.stdout.write(
    accept ? 'The templates of this tree are the reviewed ones now.\n' : 'No permission is broader.\n',
  );

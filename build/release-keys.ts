/** `npm run release:keys`: the list of artifact keys, and the signed note by which it gives way to the next. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { parseKeys } from '../lib/artifacts/keys.ts';
import { firstKeys, type KeyListOptions, nextKeys } from './key-list.ts';
import { openSigners, readPublicKey, signerHelp, signerOptions } from './signers.ts';

const help = `usage: npm run release:keys -- --out FILE --threshold N --signer NAME=KEY … [options]

  --out FILE         where the list goes; with --after also FILE.note, the note that hands over to it
  --threshold N      how many of them sign a release (default: all)
  --signer NAME=KEY  whoever may sign: a .pub file, a PEM file of either half, or the ARN of a key in AWS KMS; repeatable
  --after FILE       the list before; the note is signed by its threshold and by that of the new list:
${signerHelp}
Neither file is written over.

Examples:
  npm run release:keys -- --out artifact-keys --threshold 2 --signer release-a=a.pub --signer release-b=b.pub
  npm run release:keys -- --out artifact-keys-2 --after artifact-keys --threshold 2 \\
    --signer release-b=b.pub --signer release-c=c.pub --key a --key b --key c
`;

const { values } = parseArgs({
  options: {
    ...signerOptions,
    out: { type: 'string' },
    threshold: { type: 'string' },
    signer: { type: 'string', multiple: true, default: [] },
    after: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`error: nothing was written: ${(error as Error).message}\n`);
  process.exitCode = 1;
}

async function main(): Promise<number> {
  if (values.help || values.out === undefined || values.signer.length === 0) {
    process.stdout.write(help);
    return values.help ? 0 : 2;
  }
  const options: KeyListOptions = {
    threshold: Number(values.threshold ?? values.signer.length),
    keys: await Promise.all(values.signer.map(parseSigner)),
  };
  const [listFile, noteFile] = [values.out, `${values.out}.note`];
  for (const file of [listFile, noteFile]) if (existsSync(file)) throw new Error(`${file} is there already`);
  if (values.after === undefined) {
    writeFileSync(listFile, firstKeys(options));
    process.stdout.write(`${listFile}: list 1, ${options.threshold} of ${options.keys.length} keys\n`);
    return 0;
  }
  const before = parseKeys(readFileSync(values.after, 'utf8'));
  const { list, note } = await nextKeys(before, options, await openSigners(values, process.env['SSH_AUTH_SOCK']));
  writeFileSync(listFile, list);
  writeFileSync(noteFile, note);
  process.stdout.write(
    `${listFile}: list ${before.number + 1}, ${options.threshold} of ${options.keys.length} keys\n` +
      `next: holdfast artifact trust ${noteFile}\n` +
      `next: npm run release -- --keys ${listFile} --previous-keys ${values.after} …\n`,
  );
  return 0;
}

async function parseSigner(text: string) {
  const at = text.indexOf('=');
  if (at < 1) throw new Error(`${JSON.stringify(text)} is not NAME=KEY`);
  return { name: text.slice(0, at), publicKey: await readPublicKey(text.slice(at + 1)) };
}

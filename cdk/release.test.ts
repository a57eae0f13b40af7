/** A deployment from a signed release: what is deployed is what was verified, and nothing else is. */
import assert from 'node:assert/strict';
import { appendFileSync, cpSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { manifestOf, signDirectory } from '../build/manifest.ts';
import { functionNames } from '../functions/aws/environment.ts';
import { formatKeys } from '../lib/artifacts/keys.ts';
import { createArtifactSigner } from '../test/fakes/artifacts.ts';
import { buildApp } from './build-app.ts';
import { ReleaseError, takeRelease } from './release.ts';
import { featureFlags, temporaryDirectory, writePlaceholders } from './testing.ts';

const now = Date.now();
const notAfter = Math.ceil(now / 1000) * 1000 + 60_000;
const signer = createArtifactSigner('release-a');
const stranger = createArtifactSigner('release-a');

async function createRelease(directory: string) {
  const programs = writePlaceholders(join(directory, 'programs'));
  const release = join(directory, 'release');
  for (const name of functionNames) cpSync(join(programs, name), folderOf(name), { recursive: true });
  const keysFile = join(directory, 'artifact-keys');
  writeFileSync(keysFile, formatKeys({ number: 1, threshold: 1, keys: [signer.key] }));
  for (const name of functionNames) await sign(name);
  return { source: { directory: release, keysFile }, folderOf, sign };

  function folderOf(name: string): string {
    return join(release, `holdfast-${name}`);
  }

  async function sign(name: string, change: { by?: typeof signer; version?: string; at?: number; as?: string } = {}) {
    const { by = signer, version = '1.4.0', at = notAfter, as = name } = change;
    const kind = as === 'gateway' ? ('gateway' as const) : ('function' as const);
    const artifact = { kind, name: `holdfast-${as}`, platform: 'any' };
    await signDirectory(folderOf(name), manifestOf(artifact, folderOf(name), version, at), [by]);
  }
}

test('R33 what is synthesized are the verified bytes of the release, and not this tree’s', async () => {
  const { path, remove } = temporaryDirectory();
  try {
    const { source, folderOf, sign } = await createRelease(path);
    appendFileSync(join(folderOf('sealer'), 'index.mjs'), '// of the release\n');
    await sign('sealer');
    const context = { ...featureFlags(), release: source.directory, releaseKeys: source.keysFile, image: 'build' };
    const outdir = join(path, 'out');
    buildApp({ bundles: join(path, 'nowhere'), outdir, context }).app.synth();
    const staged = readdirSync(outdir, { recursive: true, encoding: 'utf8' })
      .filter((name) => /asset\.[0-9a-f]+\/index\.mjs$/.test(name))
      .map((name) => readFileSync(join(outdir, name), 'utf8'));
    assert.equal(staged.filter((text) => text.includes('// of the release')).length, 1);
    const notes = readdirSync(outdir, { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('manifest.note'),
    );
    assert.equal(notes.length, functionNames.length);
  } finally {
    remove();
  }
});

const damages: Record<string, (release: Awaited<ReturnType<typeof createRelease>>) => unknown> = {
  'a file altered': ({ folderOf }) => appendFileSync(join(folderOf('admin'), 'index.mjs'), ' '),
  'the image’s recipe altered': ({ folderOf }) => appendFileSync(join(folderOf('gateway'), 'Dockerfile'), 'USER 0\n'),
  'a file too many': ({ folderOf }) => writeFileSync(join(folderOf('admin'), 'more.mjs'), ''),
  'a file gone': ({ folderOf }) => rmSync(join(folderOf('identity'), 'index.mjs')),
  'a file that is a link': ({ folderOf }) => {
    const place = join(folderOf('deliver'), 'index.mjs');
    cpSync(place, `${folderOf('deliver')}.mjs`);
    rmSync(place);
    symlinkSync(`${folderOf('deliver')}.mjs`, place);
  },
  'no manifest': ({ folderOf }) => rmSync(join(folderOf('router'), 'manifest.note')),
  'a program gone': ({ folderOf }) => rmSync(folderOf('secrets'), { recursive: true }),
  'a manifest signed by a stranger': ({ sign }) => sign('sealer', { by: stranger }),
  'a manifest that has expired': ({ sign }) => sign('sealer', { at: Math.floor(now / 1000) * 1000 }),
  'the program of another function': ({ sign }) => sign('sealer', { as: 'router' }),
  'programs of two versions': ({ sign }) => sign('sealer', { version: '1.3.9' }),
  'a key list that is none': ({ source }) => writeFileSync(source.keysFile, 'anything'),
  'no key list': ({ source }) => rmSync(source.keysFile),
};

for (const [name, damage] of Object.entries(damages)) {
  test(`R33 with ${name} nothing is synthesized`, async () => {
    const { path, remove } = temporaryDirectory();
    try {
      const release = await createRelease(path);
      takeRelease(release.source, join(path, 'good'), now);
      await damage(release);
      assert.throws(() => takeRelease(release.source, join(path, 'taken'), now), ReleaseError);
      const context = { ...featureFlags(), release: release.source.directory, releaseKeys: release.source.keysFile };
      const bundles = writePlaceholders(join(path, 'bundles'));
      assert.throws(
        () => buildApp({ bundles, outdir: join(path, 'out'), context }),
        /nothing of the release is deployed/,
      );
    } finally {
      remove();
    }
  });
}

/**
 * Sealing secrets to nodes: values a second on one core, by size, and one whole `ResolveSecrets` of 100 values with its
 * entitlement, its reads and its sealing. Prints one line of JSON. It first proves that what is sealed opens under the
 * right key and place alone.
 *
 *   node bench/secrets.ts [values]
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { cpus } from 'node:os';
import { resolveSecretsHandler } from '../functions/gateway/secrets.ts';
import { openSecret, sealSecret } from '../lib/secrets/seal.ts';
import { createSecretsWorld } from '../test/fakes/secrets-world.ts';

const count = Number(process.argv[2] ?? 4000);
const { publicKey, privateKey } = generateKeyPairSync('x25519');
const sealingKey = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
const place = (path: string) => ({
  uuid: '6b1f0a52-8f0e-4c57-9d3c-2f5f1f0c9a11',
  path,
  version: 1,
  releaseDigest: 'ab'.repeat(32),
});

const value = Buffer.alloc(64, 7);
const proof = sealSecret(sealingKey, place('a'), value);
assert.deepEqual(Buffer.from(openSecret(privateKey, place('a'), proof)), value);
assert.throws(() => openSecret(privateKey, place('b'), proof));

const rates: Record<string, number> = {};
for (const bytes of [64, 4096, 61_440]) {
  const plain = Buffer.alloc(bytes, 7);
  rates[`sealed_${bytes}_per_cpu_second`] = measure(count, () => sealSecret(sealingKey, place('db/password'), plain));
}
rates['opened_64_per_cpu_second'] = measure(count, () => openSecret(privateKey, place('a'), proof));

const paths = Array.from({ length: 100 }, (_, i) => `bench/secret-${i}`);
const world = await createSecretsWorld({ paths });
const resolve = resolveSecretsHandler(world.deps);
const rounds = Math.max(1, Math.round(count / 400));
const started = process.cpuUsage();
for (let i = 0; i < rounds; i++) {
  const answer = await resolve(world.verified, world.ask(paths));
  assert.equal(answer.secrets?.length, paths.length);
}
rates['resolved_values_per_cpu_second'] = perCpuSecond(rounds * paths.length, started);

process.stdout.write(`${JSON.stringify({ bench: 'secrets', cpu: cpus()[0]?.model, ...rates })}\n`);

function measure(times: number, act: () => unknown): number {
  for (let i = 0; i < times / 10; i++) act();
  const started = process.cpuUsage();
  for (let i = 0; i < times; i++) act();
  return perCpuSecond(times, started);
}

function perCpuSecond(times: number, started: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(started);
  return Math.round(times / ((user + system) / 1e6));
}

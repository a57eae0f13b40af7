import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { DeploymentConfigError } from './config.ts';
import { type Rollout, RolloutError, rollOut } from './rollout.ts';
import { temporaryDirectory } from './testing.ts';

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => directory.remove());

const image = `image=example.org/gateway@sha256:${'a'.repeat(64)}`;

/** An account in which signing takes two polls; every command is kept. */
function account(
  options: { tools?: readonly string[]; signed?: boolean; verdict?: string; founded?: boolean; error?: string } = {},
) {
  const calls: string[][] = [];
  let polls = 0;
  const outdir = join(directory.path, 'out');
  const answers: Record<string, () => unknown> = {
    'get-caller-identity': () => ({ Account: '111122223333' }),
    'head-object': () => ({
      VersionId: 'v7',
      Metadata: options.signed ? { 'holdfast-signed-by': 'holdfast_acme_eu' } : {},
    }),
    'start-signing-job': () => ({ jobId: 'job-1' }),
    'describe-signing-job': () => {
      polls += 1;
      return { status: polls % 3 === 0 ? (options.verdict ?? 'Succeeded') : 'InProgress', statusReason: 'why' };
    },
    'copy-object': () => ({}),
    'describe-stacks': () => ({
      Stacks: [
        {
          Outputs: ['TableName', 'IdentityFunctionName'].map((OutputKey) => ({
            OutputKey,
            OutputValue: `the-${OutputKey}`,
          })),
        },
      ],
    }),
    'get-item': () => ((options.founded ?? true) ? { Item: { pin: { S: 'x' } } } : {}),
    invoke: () => (options.error === undefined ? { StatusCode: 200 } : { StatusCode: 200, FunctionError: 'Unhandled' }),
  };
  const io: Rollout = {
    run(command, args) {
      calls.push([command, ...args]);
      if (command === 'cdk' && args[0] === 'publish-assets') {
        mkdirSync(outdir, { recursive: true });
        writeFileSync(join(outdir, 'functions.assets.json'), JSON.stringify(manifest));
      }
      return command === 'aws' ? JSON.stringify(answers[args[1] ?? '']?.()) : '';
    },
    has: (command) => (options.tools ?? ['aws']).includes(command),
    sleep: async () => {},
    say: () => {},
    read: (path) => (path.endsWith('founded.json') ? (options.error ?? '{"pin":"p"}') : `ssh-ed25519 AAAA ${path}\n`),
    outdir,
  };
  return { io, calls };
}

const destination = {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: CloudFormation's placeholder
  bucketName: 'assets-${AWS::AccountId}-eu-central-1',
  objectKey: 'abc.zip',
  region: 'eu-central-1',
};
const manifest = {
  files: {
    abc: { displayName: 'Identity/Function/Code', source: { packaging: 'zip' }, destinations: { here: destination } },
    template: {
      displayName: 'Template',
      source: { packaging: 'file' },
      destinations: { here: { ...destination, objectKey: 't.json' } },
    },
  },
};
const args = ['-c', 'fleet=acme-eu', '--context', image, '--profile', 'ops'];

test('what is kept comes first, code is signed in its place, then what runs', async () => {
  const { io, calls } = account();
  await rollOut(args, io);
  const steps = calls.map(([command, first, second]) => (command === 'aws' ? second : `${first} ${second}`));
  assert.deepEqual(steps, [
    'deploy keys',
    'publish-assets functions',
    'get-caller-identity',
    'head-object',
    'start-signing-job',
    'describe-signing-job',
    'describe-signing-job',
    'describe-signing-job',
    'copy-object',
    'deploy functions',
    'describe-stacks',
    'get-item',
    'deploy edge',
  ]);
  const whole = calls.map((call) => call.join(' '));
  assert.match(whole[0] ?? '', /deploy keys data network --require-approval broadening -c fleet=acme-eu/);
  assert.match(whole[4] ?? '', /version=v7.*--profile-name holdfast_acme_eu/);
  assert.match(
    whole[8] ?? '',
    /--copy-source assets-111122223333-eu-central-1\/signed\/job-1\.zip --bucket assets-111122223333-eu-central-1 --key abc\.zip/,
  );
  assert(whole.filter((call) => call.startsWith('aws')).every((call) => call.endsWith('--profile ops')));
  assert(!whole.some((call) => call.includes('require-approval never')));
});

test('code that is signed already is left alone', async () => {
  const { io, calls } = account({ signed: true });
  await rollOut(args, io);
  assert(!calls.some((call) => call.includes('start-signing-job') || call.includes('copy-object')));
});

test('code that was not signed ends the deployment before anything that runs', async () => {
  const { io, calls } = account({ verdict: 'Failed' });
  await assert.rejects(rollOut(args, io), (error) => error instanceof RolloutError && error.code === 'not_signed');
  assert(!calls.some((call) => call.includes('edge') || call.includes('copy-object')));
});

test('without an image it is built, where there is Docker; otherwise nothing begins', async () => {
  const built = account({ tools: ['aws', 'docker'] });
  await rollOut(['-c', 'fleet=acme-eu'], built.io);
  assert(built.calls.filter(([command]) => command === 'cdk').every((call) => call.includes('image=build')));
  for (const tools of [['aws'], ['docker']]) {
    const { io, calls } = account({ tools });
    await assert.rejects(rollOut([], io), (error) => error instanceof RolloutError && error.code === 'missing_tool');
    assert.deepEqual(calls, []);
  }
});

test('R01 a context key that is none of ours ends it before anything begins', async () => {
  const { io, calls } = account();
  await assert.rejects(rollOut([...args, '-c', 'codeSigning=off'], io), DeploymentConfigError);
  assert.deepEqual(calls, []);
});

test('a fleet is founded by its operators’ keys before the gateway starts, once', async () => {
  const { io, calls } = account({ founded: false });
  await rollOut([...args, '--operator-key', 'a.pub', '--operator-key', 'b.pub', '--threshold', '2'], io);
  const invoked = calls.findIndex((call) => call.includes('invoke'));
  const payload = JSON.parse(calls[invoked]?.[calls[invoked].indexOf('--payload') + 1] ?? '');
  const operatorKeys = ['ssh-ed25519 AAAA a.pub', 'ssh-ed25519 AAAA b.pub'];
  assert.deepEqual(payload, { holdfast: 'found-fleet', name: 'acme-eu', operatorKeys, threshold: 2 });
  assert(calls[invoked]?.includes('the-IdentityFunctionName'));
  assert.deepEqual(calls.at(-1)?.slice(0, 3), ['cdk', 'deploy', 'edge']);
  assert(invoked < calls.length - 1);
  assert(!calls.some((call) => call[0] === 'cdk' && call.includes('a.pub')));
});

test('without operators, or when founding fails, no gateway is started', async () => {
  for (const [options, more] of [
    [{ founded: false }, []],
    [{ founded: false, error: 'founded on others' }, ['--operator-key', 'a.pub']],
  ] as const) {
    const { io, calls } = account(options);
    await assert.rejects(
      rollOut([...args, ...more], io),
      (error) => error instanceof RolloutError && error.code === 'not_founded',
    );
    assert(!calls.some((call) => call.includes('edge')));
  }
});

test('founding arguments without a value are refused before anything begins', async () => {
  for (const bad of [['--operator-key'], ['--threshold', 'two'], ['--threshold', '0']]) {
    const { io, calls } = account();
    await assert.rejects(
      rollOut([...args, ...bad], io),
      (error) => error instanceof RolloutError && error.code === 'usage',
    );
    assert.deepEqual(calls, []);
  }
});

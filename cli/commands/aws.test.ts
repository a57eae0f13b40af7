/** `holdfast aws` on an account made for the test; the same verbs run on deployed stacks in test/aws/stacks.aws.ts. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Command } from 'commander';
import { toBase64url } from '../../lib/crypto/encoding.ts';
import { formatEnrollmentToken } from '../../lib/crypto/token.ts';
import { fleetPin } from '../../lib/identity/descriptor.ts';
import { createTestFleet } from '../../test/fakes/fleet.ts';
import type { AlarmView, AwsAccount, InvocationResult, StackView, TemplateView } from '../aws/account.ts';
import { CliError } from '../errors.ts';
import type { Terminal } from '../terminal.ts';
import { awsCommand } from './aws.ts';

const outputs = { AdminFunctionName: 'admin', IdentityFunctionName: 'identity', SealerFunctionName: 'sealer' };
const { descriptor } = await createTestFleet();
const fleet = 'testfleet';

type Given = {
  readonly missing?: readonly string[];
  readonly state?: string;
  readonly alarms?: readonly AlarmView[];
  readonly template?: TemplateView;
  readonly user?: object;
  readonly founded?: boolean;
  readonly pin?: Uint8Array;
};

/** An account with a whole deployment; what was asked of the functions is kept. */
function account(given: Given = {}) {
  const asked: { name: string; event: Record<string, unknown> }[] = [];
  let founded = given.founded ?? true;
  let user = given.user;
  const http = (status: number, body: object): InvocationResult => ({
    kind: 'returned',
    value: { status, body: JSON.stringify(body) },
  });
  const identity = (event: Record<string, unknown>): InvocationResult => {
    if (event['holdfast'] === 'found-fleet') founded = true;
    if (!founded) return { kind: 'threw', message: 'the fleet is not founded yet: run "holdfast aws bootstrap"' };
    return { kind: 'returned', value: { descriptor: toBase64url(descriptor), pin: 'not what is believed' } };
  };
  const admin = ({ method, path, body }: Record<string, unknown>): InvocationResult => {
    if (path === '/v1/status') return http(200, status);
    if (path === '/v1/tokens') return http(200, { token, id: '1', expires: 'tomorrow' });
    if (method === 'GET') return user === undefined ? http(404, { title: 'Not Found' }) : http(200, user);
    if (String(path).endsWith('/password')) user = { ...user, hasPassword: true };
    else user = { name: (body as { name: string }).name, role: 'admin', state: 'active', hasPassword: false };
    return http(200, user);
  };
  const token = formatEnrollmentToken({
    secret: new Uint8Array(32).fill(7),
    pin: given.pin ?? fleetPin(descriptor),
  });
  const status = {
    url: 'https://api.example.org',
    pin: 'P',
    nodes: { active: 2, quarantined: 0, revoked: 1 },
    log: { origin: 'o', size: 9 },
  };
  const made: AwsAccount = {
    async stack(name): Promise<StackView | undefined> {
      if (given.missing?.includes(name)) return undefined;
      const own = name.endsWith('-functions') ? outputs : {};
      const state = name.endsWith('-edge') ? (given.state ?? 'UPDATE_COMPLETE') : 'CREATE_COMPLETE';
      return { name, state, isProtected: true, changed: '2030-01-01T00:00:00.000Z', outputs: own };
    },
    template: async () => given.template ?? {},
    async invoke(name, event) {
      asked.push({ name, event: event as Record<string, unknown> });
      return name === 'identity' ? identity(event as Record<string, unknown>) : admin(event as Record<string, unknown>);
    },
    alarms: async () => given.alarms ?? [],
    iteratorAgeMs: async () => 250,
  };
  return { made, asked };
}

async function run(made: AwsAccount, args: readonly string[], password?: string) {
  const shown = { out: '', err: '' };
  const terminal: Terminal = {
    out: (text) => {
      shown.out += text;
    },
    err: (text) => {
      shown.err += text;
    },
    width: undefined,
    interactive: false,
    environment: {},
    stopped: () => new Promise(() => undefined),
    ...(password === undefined ? {} : { secret: async () => new Uint8Array(Buffer.from(`${password}\n`)) }),
  };
  const program = new Command('holdfast').option('--json', '', false).exitOverride();
  program.addCommand(awsCommand(terminal, async () => made));
  await program.parseAsync(['aws', ...args], { from: 'user' });
  return shown;
}

async function scratch(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-aws-cli-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

const refused = (exit: CliError['exit'], message: RegExp) => (error: unknown) => {
  assert(error instanceof CliError, String(error));
  assert.equal(error.exit, exit);
  assert.match(error.message, message);
  return true;
};

test('bootstrap founds, creates the admin, and prints the join line; the password goes nowhere else', async (t) => {
  const directory = await scratch(t);
  const [copy, key] = [join(directory, 'fleet.json'), join(directory, 'a.pub')];
  await writeFile(key, '# ours\nssh-ed25519 AAAA alice\n');
  const { made, asked } = account({ founded: false });
  const args = ['bootstrap', '--fleet', fleet, '--user', 'ada', '--operator-key', key, '--descriptor', copy];
  const shown = await run(made, args, 'correct horse');
  assert.match(shown.out, /^npx holdfast-agent join --server https:\/\/api\.example\.org --token hfe_\S+\n$/);
  assert.deepEqual(await readFile(copy), Buffer.from(descriptor));
  assert(shown.err.includes(toBase64url(fleetPin(descriptor))), 'the pin is computed here, not believed');
  assert.deepEqual(asked[0]?.event, {
    holdfast: 'found-fleet',
    name: fleet,
    operatorKeys: ['ssh-ed25519 AAAA alice'],
    threshold: 1,
  });
  const withPassword = asked.filter(({ event }) => JSON.stringify(event).includes('correct horse'));
  assert.deepEqual(
    withPassword.map(({ name, event }) => [name, event['path'], event['body']]),
    [['admin', '/v1/users/ada/password', { password: 'correct horse' }]],
  );
  assert(!`${shown.out}${shown.err}`.includes('correct horse'));
  // Again: the same copy, the same user, no password asked for.
  const again = account({ user: { name: 'ada', role: 'admin', state: 'active', hasPassword: true } });
  const json = await run(again.made, ['bootstrap', '--fleet', fleet, '--user', 'ada', '--descriptor', copy, '--json']);
  assert.equal(JSON.parse(json.out).user, 'ada');
  assert(!again.asked.some(({ event }) => String(event['path']).includes('password')));
});

test('bootstrap ends where the account and the operator disagree', async (t) => {
  const directory = await scratch(t);
  const copy = join(directory, 'fleet.json');
  const args = ['bootstrap', '--fleet', fleet, '--user', 'ada', '--descriptor', copy];
  await assert.rejects(run(account({ founded: false }).made, args, 'x'), refused('failure', /not founded yet/));
  await assert.rejects(
    run(account().made, [...args.slice(0, 2), 'other', ...args.slice(3)], 'x'),
    refused('refused', /answer for the fleet "testfleet"/),
  );
  await assert.rejects(
    run(account({ missing: [`${fleet}-functions`] }).made, args, 'x'),
    refused('failure', /there is no stack testfleet-functions/),
  );
  await assert.rejects(
    run(account({ pin: new Uint8Array(32) }).made, args, 'x'),
    refused('refused', /another fleet than the one that was founded/),
  );
  for (const user of [
    { name: 'ada', role: 'viewer', state: 'active', hasPassword: true },
    { name: 'ada', role: 'admin', state: 'disabled', hasPassword: true },
  ])
    await assert.rejects(run(account({ user }).made, args, 'x'), refused('refused', /there is a user ada already/));
  await writeFile(copy, 'another fleet');
  const { made, asked } = account();
  await assert.rejects(run(made, args, 'x'), refused('refused', /describes another fleet/));
  assert.deepEqual(
    asked.map(({ name }) => name),
    ['identity'],
  );
  const key = join(directory, 'key');
  await writeFile(key, '-----BEGIN OPENSSH PRIVATE KEY-----\n');
  const before = account();
  await assert.rejects(run(before.made, [...args, '--operator-key', key], 'x'), refused('usage', /private key/));
  assert.deepEqual(before.asked, []);
});

test('status shows outputs, release and lag; a missing stack and a sounding alarm fail it', async () => {
  const alarm = {
    name: 'testfleet-data-T',
    state: 'ALARM',
    means: 'why. Runbook: docs/runbooks/x.md',
    since: undefined,
  };
  const fine = await run(account({ alarms: [{ ...alarm, state: 'OK' }] }).made, ['status', '--fleet', fleet]);
  for (const word of ['testfleet-edge', 'AdminFunctionName', '2 active', '250 ms behind', '0 of 1 sound'])
    assert(fine.out.includes(word), word);
  const bad: readonly Given[] = [
    { alarms: [alarm] },
    { missing: [`${fleet}-edge`] },
    { state: 'UPDATE_ROLLBACK_COMPLETE' },
  ];
  for (const given of bad)
    await assert.rejects(
      run(account(given).made, ['status', '--fleet', fleet, '--json']),
      refused('failure', /needs a look/),
    );
});

test('destroy-check reads what is kept from the deployed templates, and refuses where what is irreplaceable is not', async () => {
  const Resources = {
    Table: { Type: 'AWS::DynamoDB::GlobalTable', DeletionPolicy: 'Retain' },
    Queue: { Type: 'AWS::SQS::Queue' },
  };
  const kept = await run(account({ template: { Resources } }).made, ['destroy-check', '--fleet', fleet, '--json']);
  assert.deepEqual(JSON.parse(kept.out).lostForEver, []);
  assert.equal(JSON.parse(kept.out).resources.length, 10);
  for (const Type of ['AWS::KMS::Key', 'AWS::S3::Bucket', 'AWS::DynamoDB::GlobalTable']) {
    const template = { Resources: { ...Resources, Precious: { Type, DeletionPolicy: 'Delete' } } };
    await assert.rejects(
      run(account({ template }).made, ['destroy-check', '--fleet', fleet]),
      refused('refused', /would lose what can not be made again/),
    );
  }
  const missing = ['keys', 'data', 'network', 'functions', 'edge'].map((part) => `${fleet}-${part}`);
  await assert.rejects(
    run(account({ missing }).made, ['destroy-check', '--fleet', fleet]),
    refused('failure', /no stack/),
  );
});

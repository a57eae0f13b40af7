/**
 * The demonstration: one round through the product with real keys, real processes and real connections, each step with
 * a proof that anybody can check. It goes on from the state that an earlier one left.
 */
import type { ChildProcess } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdir, open, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join, relative } from 'node:path';
import { z } from 'zod';
import { sha256Hex } from '../../lib/crypto/digest.ts';
import { generateEd25519 } from '../../lib/crypto/ed25519.ts';
import { toBase64url } from '../../lib/crypto/encoding.ts';
import {
  formatSshPrivateKey,
  formatSshPublicKey,
  parseSshPublicKey,
  sshFingerprint,
  sshPublicKeyOf,
} from '../../lib/crypto/ssh-key.ts';
import { hashTokenSecret, parseEnrollmentToken } from '../../lib/crypto/token.ts';
import { pemEncode } from '../../lib/crypto/x509.ts';
import type { Standalone } from './compose.ts';
import type { Commands, Program, Ran } from './demo-commands.ts';
import { type DemoPolicy, writeDemoPolicy } from './demo-policy.ts';
import { type DemoReport, prove } from './demo-report.ts';
import { readWhole, writeWhole } from './files.ts';
import type { StatePaths } from './paths.ts';

/** The operator's key, made at the first demonstration: an ordinary OpenSSH key file that ssh-keygen can use too. */
export async function demoOperator(paths: StatePaths, report: DemoReport): Promise<{ keyFile: string; line: string }> {
  const keyFile = join(paths.operator, 'id_ed25519');
  return report.step('operator key', async () => {
    const existing = await readWhole(`${keyFile}.pub`);
    if (existing !== undefined) {
      const line = Buffer.from(existing).toString('utf8').trim();
      return [`${sshFingerprint(parseSshPublicKey(line))} (as before, ${shown(keyFile)})`, { keyFile, line }];
    }
    const { privateKey, publicKey } = generateEd25519();
    const key = sshPublicKeyOf(publicKey, 'holdfast-demo');
    const line = formatSshPublicKey(key);
    await writeWhole(keyFile, formatSshPrivateKey({ privateKey, comment: 'holdfast-demo' }));
    await writeWhole(`${keyFile}.pub`, `${line}\n`, 0o644);
    return [`${sshFingerprint(key)} (new, ${shown(keyFile)})`, { keyFile, line }];
  });
}

/** What every step has at hand. */
export type Round = {
  readonly server: Standalone;
  /** The operator's private key file. */
  readonly keyFile: string;
  readonly report: DemoReport;
  readonly commands: Commands;
};

/** The whole round. Returns the first node's agent, which goes on running. Throws `DemoFailure`. */
export async function runDemo(round: Round): Promise<ChildProcess> {
  const { server, report, commands } = round;
  const { paths } = server;
  const agentState = join(paths.demo, 'agent');
  const guestState = join(paths.demo, 'guest');
  const policy = await writeDemoPolicy(join(paths.demo, 'policy'), join(paths.demo, 'root'));
  await mkdir(join(paths.demo, 'root'), { recursive: true, mode: 0o755 });

  await report.step('control plane up', async () => [
    `${server.url}, gateway ${server.gateway} (mTLS only)\n` +
      `fleet ${server.fleet.descriptor.fleet} (${server.founded ? 'founded now' : 'as before'}), pin ${toBase64url(server.fleet.pin)}`,
    undefined,
  ]);
  await report.step('policy signed, published', () => publish(round, policy));
  const uuid = await joinFirst(round, agentState);
  await report.step('converged', () => converge(round, agentState, policy));
  await report.step('run again', () => runUnchanged(round, agentState));
  await report.step('drift repaired', () => repairDrift(round, agentState, policy));
  await rejectGuest(round, guestState);
  await report.step('forged request refused', () => forge(server));
  await report.step('log verified offline', () => verifyLog(round));

  const log = await open(join(paths.demo, 'agent.log'), 'a', 0o600);
  const agent = commands.start('holdfast-agent', ['run', '--state', agentState], log.fd);
  await log.close();
  report.line();
  report.line(`All proofs held, in ${report.seconds()} s. Node ${uuid} stays connected.`);
  return agent;
}

const publishedJson = z.object({ number: z.int(), digest: z.string(), signers: z.array(z.string()) });

async function publish(round: Round, policy: DemoPolicy) {
  const state = round.server.paths.root;
  const args = ['policy', 'publish', policy.directory, '--key', round.keyFile, '--state', state, '--json'];
  const { number, digest, signers } = publishedJson.parse(JSON.parse((await succeed(round, 'holdfast', args)).out));
  return [`release ${number}, SHA-256 ${digest}\nsigned by ${signers.join(', ')}`, undefined] as const;
}

const mintedJson = z.object({ token: z.string(), id: z.string(), expires: z.string() });

async function mint(round: Round) {
  const args = [
    'token',
    'create',
    '--label',
    'role=demo',
    '--ttl',
    '10m',
    '--state',
    round.server.paths.root,
    '--json',
  ];
  return mintedJson.parse(JSON.parse((await succeed(round, 'holdfast', args)).out));
}

async function joinFirst(round: Round, state: string): Promise<string> {
  const { report } = round;
  const joined = await readNodeUuid(state);
  if (joined !== undefined)
    return report.step('node as before', async () => [`${joined}, certificate until ${await expiryOf(state)}`, joined]);
  const token = await report.step('enrollment token', async () => {
    const minted = await mint(round);
    return [`${minted.id}, for one machine, until ${minted.expires}`, minted.token];
  });
  return report.step('machine joined', async () => {
    await joinFleet(round, token, state, 'demo-1');
    const uuid = await readNodeUuid(state);
    prove(uuid !== undefined, 'the agent did not write who it is');
    return [`${uuid}, certificate until ${await expiryOf(state)}`, uuid];
  });
}

async function joinFleet(round: Round, token: string, state: string, hostname: string): Promise<void> {
  const ran = await tryJoin(round, token, state, hostname);
  prove(ran.code === 0, `joining ended with ${ran.code}: ${errorLine(ran)}`);
}

function tryJoin(round: Round, token: string, state: string, hostname: string): Promise<Ran> {
  return round.commands.run('holdfast-agent', [
    ...['join', '--server', round.server.url, '--token', token],
    ...['--state', state, '--hostname', hostname],
  ]);
}

async function converge(round: Round, state: string, policy: DemoPolicy) {
  await succeed(round, 'holdfast-agent', ['run', '--once', '--state', state]);
  const proofs = await Promise.all(
    policy.files.map(async (path) => {
      const link = await readlink(path).catch(() => undefined);
      return `${shown(path)} ${link === undefined ? `sha256 ${sha256Hex(await readFile(path))}` : `→ ${link}`}`;
    }),
  );
  return [proofs.join('\n'), undefined] as const;
}

async function runUnchanged(round: Round, state: string) {
  const { out } = await succeed(round, 'holdfast-agent', ['run', '--once', '--state', state]);
  const changed = out.split('\n').filter((line) => /^(created|updated|removed)/.test(line));
  prove(changed.length === 0, `a second run changed something: ${changed.join('; ')}`);
  return [lastLine(out), undefined] as const;
}

async function repairDrift(round: Round, state: string, { driftPath }: DemoPolicy) {
  const before = await readFile(driftPath, 'utf8');
  await writeFile(driftPath, 'listen = 0.0.0.0\n');
  const { out } = await succeed(round, 'holdfast-agent', ['run', '--once', '--state', state]);
  const repaired = out.split('\n').find((line) => line.startsWith('updated') && line.includes('app.conf'));
  prove(repaired !== undefined, `the edited ${driftPath} was not reported as repaired`);
  prove((await readFile(driftPath, 'utf8')) === before, `${driftPath} is not what the policy says`);
  const mode = ((await stat(driftPath)).mode & 0o777).toString(8).padStart(4, '0');
  return [`${shown(driftPath)} was edited, and is as signed again (mode ${mode})`, undefined] as const;
}

/** A machine that joins and is revoked: its next run is refused, and so is its UUID with a fresh token. */
async function rejectGuest(round: Round, state: string): Promise<void> {
  const { report } = round;
  await rm(state, { recursive: true, force: true });
  const uuid = await report.step('second machine joined', async () => {
    await joinFleet(round, (await mint(round)).token, state, 'demo-2');
    const joined = await readNodeUuid(state);
    prove(joined !== undefined, 'the agent did not write who it is');
    return [joined, joined];
  });
  await report.step('revoked, refused', async () => {
    await succeed(round, 'holdfast', [
      'node',
      'revoke',
      uuid,
      '--reason',
      'demonstration',
      '--state',
      round.server.paths.root,
    ]);
    const next = await round.commands.run('holdfast-agent', ['run', '--once', '--state', state]);
    prove(next.code === 3, `the revoked node was not refused (exit code ${next.code})`);
    return [`its next run: ${errorLine(next)}`, undefined];
  });
  await report.step('re-enrollment refused', async () => {
    const { token } = await mint(round);
    await pretendUnjoined(state, uuid, token);
    const again = await tryJoin(round, token, state, 'demo-2');
    prove(again.code === 3, `the revoked UUID was not refused (exit code ${again.code})`);
    return ['the revoked UUID and key, with a fresh token, are refused', undefined];
  });
}

/** Leaves the state of a machine that is about to join as `uuid`, with the keys that it had. */
async function pretendUnjoined(state: string, uuid: string, token: string): Promise<void> {
  const attempt = { v: 1, uuid, hostname: 'demo-2', token: hashTokenSecret(parseEnrollmentToken(token).secret) };
  await writeWhole(join(state, 'joining.json'), JSON.stringify(attempt));
  await rm(join(state, 'node.json'));
}

/** From this very host, with everything but the token of this boot. */
async function forge(server: Standalone) {
  const attempts = [
    {},
    { 'x-forwarded-for': '127.0.0.1' },
    { authorization: `Bearer hfla_${toBase64url(new Uint8Array(32))}` },
  ];
  const ca = pemEncode('CERTIFICATE', server.fleet.authority);
  const statuses = await Promise.all(
    attempts.map(
      (headers) =>
        new Promise<number | undefined>((resolve, reject) => {
          const ask = request(`${server.url}/v1/nodes`, { ca, headers, agent: false }, (response) => {
            response.resume();
            resolve(response.statusCode);
          });
          ask.on('error', reject).end();
        }),
    ),
  );
  prove(
    statuses.every((status) => status === 401),
    `a request without this boot's token was answered ${statuses.join(', ')}`,
  );
  return ['no token, a forged address, a made-up token, all from this host: 401', undefined] as const;
}

async function verifyLog(round: Round) {
  const { paths } = round.server;
  const evidence = join(paths.demo, 'evidence');
  await rm(evidence, { recursive: true, force: true });
  await succeed(round, 'holdfast', ['audit', 'export', evidence, '--state', paths.root]);
  const { out } = await succeed(round, 'holdfast', ['audit', 'verify', evidence, '--state', paths.root]);
  return [out.trim(), undefined] as const;
}

async function readNodeUuid(state: string): Promise<string | undefined> {
  const bytes = await readWhole(join(state, 'node.json'));
  return bytes && z.object({ uuid: z.string() }).parse(JSON.parse(Buffer.from(bytes).toString('utf8'))).uuid;
}

async function expiryOf(state: string): Promise<string> {
  return new Date(new X509Certificate(await readFile(join(state, 'tls.cert.pem'))).validTo).toISOString();
}

async function succeed({ commands }: Round, program: Program, args: readonly string[]): Promise<Ran> {
  const ran = await commands.run(program, args);
  prove(ran.code === 0, `\`${program} ${args.slice(0, 2).join(' ')}\` ended with ${ran.code}: ${errorLine(ran)}`);
  return ran;
}

function errorLine({ err, out }: Ran): string {
  const lines = err.split('\n').filter((line) => line !== '' && !line.startsWith('{'));
  return lines.find((line) => line.startsWith('error:')) ?? lines.at(-1) ?? lastLine(out);
}

/** Relative when that is shorter to read. */
function shown(path: string): string {
  const near = relative(process.cwd(), path);
  return near.startsWith('..') ? path : near;
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}

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
import { pemEncode } from '../../lib/crypto/x509.ts';
import type { Standalone } from './compose.ts';
import { rejectGuest } from './demo-guest.ts';
import { type DemoPolicy, writeDemoPolicy } from './demo-policy.ts';
import { type DemoReport, prove } from './demo-report.ts';
import { joinFleet, lastLine, mint, type Round, readNodeUuid, succeed } from './demo-round.ts';
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
  await publish(round, policy);
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
const historyJson = z.array(z.object({ number: z.int(), digest: z.string(), expires: z.string() }));
/** A release that lasts longer than this is not published again. */
const freshMs = 24 * 3_600_000;

async function publish(round: Round, policy: DemoPolicy): Promise<void> {
  const state = round.server.paths.root;
  const [newest] = historyJson.parse(
    JSON.parse((await succeed(round, 'holdfast', ['policy', 'history', '--state', state, '--json'])).out),
  );
  if (newest && Date.parse(newest.expires) > Date.now() + freshMs) {
    const held = `release ${newest.number}, SHA-256 ${newest.digest}, until ${newest.expires}`;
    return round.report.step('policy as before', async () => [held, undefined]);
  }
  await round.report.step('policy signed, published', async () => {
    const args = ['policy', 'publish', policy.directory, '--key', round.keyFile, '--state', state, '--json'];
    const { number, digest, signers } = publishedJson.parse(JSON.parse((await succeed(round, 'holdfast', args)).out));
    return [`release ${number}, SHA-256 ${digest}\nsigned by ${signers.join(', ')}`, undefined];
  });
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

async function expiryOf(state: string): Promise<string> {
  return new Date(new X509Certificate(await readFile(join(state, 'tls.cert.pem'))).validTo).toISOString();
}

/** Relative when that is shorter to read. */
function shown(path: string): string {
  const near = relative(process.cwd(), path);
  return near.startsWith('..') ? path : near;
}

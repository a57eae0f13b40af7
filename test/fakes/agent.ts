/** What the tests of the agent share: signed releases, a gateway to talk to, a state directory, a silent log. */
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { FactsSource } from '../../agent/facts-source.ts';
import type { OfferedBuild, Session, UpdateReport } from '../../agent/session.ts';
import { SessionError } from '../../agent/session-error.ts';
import { openStateDirectory, type StateDirectory } from '../../agent/state.ts';
import type { Finding } from '../../lib/hardening/finding.ts';
import type { Facts } from '../../lib/policy/facts.ts';
import { type Crate, type CrateResource, contentOf, formatCrate, type Manifest } from '../../lib/policy/model.ts';
import { createOperator, manifestBytes, noon } from './policy.ts';

/** What the fake machine is like. */
export const facts: Facts = {
  os: { kind: 'linux', family: 'debian', id: 'debian', version: '12', codename: 'bookworm', name: 'Debian 12' },
  cpu: { count: 4, model: 'fake' },
  missing: ['memory'],
};

/** A source of these facts. */
export function factsSource(): FactsSource {
  const bytes = Buffer.from('{"missing":["memory"]}');
  return { latest: async () => ({ facts, bytes, digest: createHash('sha256').update(bytes).digest() }) };
}

export const logger = pino({ level: 'silent' });

export const node = { uuid: '6b1f0a52-8f0e-4c57-9d3c-2f5f1f0c9a11', name: 'web-1', labels: { role: 'web' } };

export type SignedRelease = {
  readonly manifest: Uint8Array;
  readonly signatures: readonly string[];
  readonly number: number;
  readonly digest: string;
};

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** A fleet with one operator, and the blobs of all that it ever published. */
export function createAgentFleet() {
  const operator = createOperator();
  const blobs = new Map<string, Uint8Array>();
  const trust = { fleet: 'demo', operators: { threshold: 1, keys: [operator.line] } };

  /** Puts a blob where a download finds it. */
  function put(bytes: Uint8Array): { sha256: string; bytes: number } {
    blobs.set(sha256(bytes), bytes);
    return { sha256: sha256(bytes), bytes: bytes.length };
  }

  /** A release with one crate, "base", for every node. */
  function publish(
    resources: readonly CrateResource[],
    change: Partial<Manifest> = {},
    declared: Pick<Crate, 'vars' | 'inputs'> = {},
  ): SignedRelease {
    const crate = formatCrate({ crate: 'base', resources, ...declared });
    put(crate);
    const contents = resources.flatMap((resource) => contentOf(resource)?.sha256 ?? []);
    const manifest = manifestBytes({
      bindings: [{ match: { name: '*' }, crates: ['base'] }],
      crates: [{ name: 'base', sha256: sha256(crate), blobs: [...new Set(contents)].sort() }],
      ...change,
    });
    return { manifest, signatures: [operator.sign(manifest)], number: change.number ?? 1, digest: sha256(manifest) };
  }

  async function download(digest: string): Promise<Uint8Array> {
    const bytes = blobs.get(digest);
    if (bytes === undefined) {
      throw new SessionError('refused', 'no such blob', { reason: 'NOT_FOUND' });
    }
    return bytes;
  }
  return { trust, operator, blobs, put, publish, download, now: () => noon + 1000 };
}

export type AgentFleet = ReturnType<typeof createAgentFleet>;

/** A gateway in memory: says what it is told to say, and keeps what it gets. */
export function createFakeGateway(fleet: AgentFleet) {
  const gateway = {
    current: undefined as SignedRelease | undefined,
    quarantined: false,
    nextCheckInMs: 60_000,
    factsWanted: false,
    facts: [] as Uint8Array[],
    checkIns: [] as Parameters<Session['checkIn']>[0][],
    reports: [] as Parameters<Session['reportRun']>[0][],
    /** A build that it wants of the agent, and what it hears of it. */
    build: undefined as OfferedBuild | undefined,
    updates: [] as UpdateReport[],
    findings: [] as Finding[],
    /** What the next call of any kind throws. */
    failure: undefined as SessionError | undefined,
    end(_error: SessionError): void {},
    connect,
  };

  function connect(): Session {
    const { promise: ended, resolve } = Promise.withResolvers<SessionError>();
    gateway.end = resolve;
    const guard = () => {
      if (gateway.failure !== undefined) {
        throw gateway.failure;
      }
    };
    return {
      ended,
      async checkIn(held) {
        guard();
        gateway.checkIns.push(held);
        const { current, quarantined, nextCheckInMs } = gateway;
        const isNew = current !== undefined && held.release?.digest !== current.digest;
        const release = isNew ? { release: { number: current.number, digest: current.digest } } : {};
        const build = gateway.build === undefined ? {} : { build: gateway.build };
        return { nextCheckInMs, quarantined, factsWanted: gateway.factsWanted, ...release, ...build };
      },
      async followLog() {
        guard();
        return undefined;
      },
      async fetchRelease() {
        guard();
        return gateway.current;
      },
      async reportRun(report) {
        guard();
        gateway.reports.push(report);
      },
      async resolveSecrets() {
        guard();
        throw new SessionError('refused', 'no secrets here', { reason: 'PERMISSION_DENIED' });
      },
      async reportFacts(bytes) {
        guard();
        gateway.facts.push(bytes);
      },
      async reportFindings(findings) {
        guard();
        gateway.findings.push(...findings);
      },
      async fetchBuild() {
        guard();
        throw new SessionError('refused', 'no builds here', { reason: 'PERMISSION_DENIED' });
      },
      async reportUpdate(report) {
        guard();
        gateway.updates.push(report);
      },
      download: (digest) => fleet.download(digest),
      onPush: () => () => undefined,
      close: () => resolve(new SessionError('closed', 'closed')),
    };
  }
  return gateway;
}

/** Runs `work` with a fresh state directory, which is removed afterwards. */
export async function withState<T>(work: (state: StateDirectory, base: string) => Promise<T>): Promise<T> {
  const base = await mkdtemp(join(tmpdir(), 'holdfast-agent-'));
  try {
    return await work(await openStateDirectory(join(base, 'state'), { create: true }), base);
  } finally {
    await rm(base, { recursive: true, force: true });
  }
}

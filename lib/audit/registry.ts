/**
 * The registry of privileged operations: each has a permanent code and a schema for its detail. Codes are never
 * reused or renumbered; an operation that is not here can't be recorded, and one that is not recorded does not build.
 */
import { z } from 'zod';

const text = (max: number) => z.string().max(max);
const uuid = z.uuid();
const fingerprint = text(100);

/** Denials say why in a closed word, never in an attacker's words. */
const reason = z.string().regex(/^[a-z0-9_]{1,64}$/);

/** What operators had run although guardrails can't judge it: resource, rule and reason. */
const accepted = z.array(text(300)).max(20).optional();

const role = z.enum(['admin', 'viewer', 'compliance']);

/** Where entries go from now on, and what is sent there; the configuration itself by its hash. */
const destination = z.strictObject({
  kind: text(16),
  /** Host, or bucket, or bus. */
  receiver: text(300),
  mapping: text(8),
  redaction: text(16),
  /** Networks that were allowed for it. */
  allow: z.array(text(49)).max(8),
  /** References to secrets, as `siem/token`. */
  credentials: z.array(text(220)).max(4),
  filtered: z.boolean(),
  sha256: text(64),
});

const define = <T extends string>(table: Record<T, { code: string; detail: z.ZodObject }>) => table;

export const operations = define({
  'log.open': { code: 'HF0001', detail: z.strictObject({ origin: text(200) }) },
  'log.checkpoint': { code: 'HF0002', detail: z.strictObject({ lanes: z.record(text(64), z.int()) }) },
  'log.gap': { code: 'HF0003', detail: z.strictObject({ type: text(64), count: z.int(), reason: reason.optional() }) },
  'lane.close': { code: 'HF0004', detail: z.strictObject({ lane: text(64) }) },
  'audit.read': { code: 'HF0010', detail: z.strictObject({ from: z.int(), count: z.int() }) },
  'audit.export': { code: 'HF0011', detail: z.strictObject({ size: z.int() }) },
  'server.start': { code: 'HF0020', detail: z.strictObject({ version: text(64) }) },
  'server.stop': { code: 'HF0021', detail: z.strictObject({ version: text(64) }) },
  // Somebody else in a process of the server or of an agent: a warning, and nothing was stopped.
  'process.finding': { code: 'HF0022', detail: z.strictObject({ kind: text(16), what: text(200) }) },
  'fleet.create': {
    code: 'HF0030',
    detail: z.strictObject({ pin: text(64), threshold: z.int(), operators: z.array(fingerprint).max(64) }),
  },
  'token.create': {
    code: 'HF0100',
    detail: z.strictObject({
      expires: text(30),
      labels: z.record(text(63), text(63)),
      hostname: text(253).optional(),
      fingerprint: fingerprint.optional(),
    }),
  },
  'token.cancel': { code: 'HF0101', detail: z.strictObject({}) },
  'node.enroll': {
    code: 'HF0200',
    detail: z.strictObject({
      token: text(64),
      hostname: text(253),
      fingerprint,
      labels: z.record(text(63), text(63)),
      platform: text(64),
      version: text(64),
      serial: text(64).optional(),
      expires: text(30).optional(),
    }),
  },
  'node.enroll.refuse': {
    code: 'HF0201',
    detail: z.strictObject({
      reason,
      token: text(64).optional(),
      fingerprint: fingerprint.optional(),
      hostname: text(253).optional(),
    }),
  },
  'node.renew': { code: 'HF0202', detail: z.strictObject({ serial: text(64), expires: text(30) }) },
  'node.renew.refuse': { code: 'HF0203', detail: z.strictObject({ reason }) },
  'node.quarantine': { code: 'HF0204', detail: z.strictObject({ reason: text(200).optional() }) },
  'node.recover': { code: 'HF0205', detail: z.strictObject({ reason: text(200).optional() }) },
  'node.revoke': { code: 'HF0206', detail: z.strictObject({ reason: text(200).optional() }) },
  'node.wake': { code: 'HF0207', detail: z.strictObject({ run: z.boolean(), dryRun: z.boolean().optional() }) },
  'node.request.refuse': {
    code: 'HF0210',
    detail: z.strictObject({ reason, method: text(100).optional(), claimed: uuid.optional() }),
  },
  'access.refuse': { code: 'HF0300', detail: z.strictObject({ reason, route: text(100) }) },
  'session.create': { code: 'HF0301', detail: z.strictObject({ method: text(16), expires: text(30) }) },
  'session.refuse': { code: 'HF0302', detail: z.strictObject({ method: text(16), reason }) },
  'session.end': { code: 'HF0303', detail: z.strictObject({}) },
  'user.create': { code: 'HF0310', detail: z.strictObject({ role, issuer: text(300).optional() }) },
  'user.role': { code: 'HF0311', detail: z.strictObject({ role, previous: role }) },
  'user.disable': { code: 'HF0312', detail: z.strictObject({}) },
  'user.enable': { code: 'HF0313', detail: z.strictObject({}) },
  'user.delete': { code: 'HF0314', detail: z.strictObject({}) },
  'user.password': { code: 'HF0315', detail: z.strictObject({}) },
  'user.key.add': { code: 'HF0316', detail: z.strictObject({ fingerprint }) },
  'user.key.remove': { code: 'HF0317', detail: z.strictObject({ fingerprint }) },
  'user.sessions.end': { code: 'HF0318', detail: z.strictObject({}) },
  'user.unlock': { code: 'HF0319', detail: z.strictObject({}) },
  'api-token.create': {
    code: 'HF0320',
    detail: z.strictObject({
      owner: text(64),
      expires: text(30).optional(),
      scope: z.array(text(32)).max(64).optional(),
    }),
  },
  'api-token.revoke': { code: 'HF0321', detail: z.strictObject({ owner: text(64) }) },
  'compliance.document.add': {
    code: 'HF0330',
    detail: z.strictObject({ sha256: text(64), bytes: z.int(), name: text(200) }),
  },
  'compliance.evidence': { code: 'HF0331', detail: z.strictObject({ size: z.int() }) },
  'policy.publish': {
    code: 'HF0400',
    detail: z.strictObject({
      digest: text(64),
      previous: text(64),
      signers: z.array(fingerprint).max(64),
      crates: z.array(text(64)).max(1000),
      accepted,
    }),
  },
  'policy.rollback': {
    code: 'HF0401',
    detail: z.strictObject({
      digest: text(64),
      previous: text(64),
      signers: z.array(fingerprint).max(64),
      to: z.int(),
      accepted,
    }),
  },
  'policy.refuse': { code: 'HF0402', detail: z.strictObject({ reason }) },
  'policy.freeze': { code: 'HF0403', detail: z.strictObject({ reason: text(200) }) },
  'policy.thaw': { code: 'HF0404', detail: z.strictObject({}) },
  'secret.set': { code: 'HF0500', detail: z.strictObject({ version: z.int().optional() }) },
  'secret.rotate': { code: 'HF0501', detail: z.strictObject({ version: z.int().optional() }) },
  'secret.delete': { code: 'HF0502', detail: z.strictObject({}) },
  'secret.rotate-master': {
    code: 'HF0503',
    detail: z.strictObject({ key: text(64).optional(), secrets: z.int().optional() }),
  },
  // An intent names the paths, its outcome each path that was given with its version, as `db/password@3`.
  'secret.release': {
    code: 'HF0510',
    detail: z.strictObject({ release: z.int(), paths: z.array(text(220)).max(512) }),
  },
  'artifact.trust': {
    code: 'HF0700',
    detail: z.strictObject({ threshold: z.int(), keys: z.array(text(100)).max(16) }),
  },
  'artifact.publish': { code: 'HF0701', detail: z.strictObject({ sha256: text(64), size: z.int() }) },
  'artifact.refuse': { code: 'HF0702', detail: z.strictObject({ reason }) },
  'artifact.rollout': {
    code: 'HF0703',
    detail: z.strictObject({
      version: text(64),
      rollout: z.int(),
      labels: z.record(text(63), text(63)),
      percent: z.int(),
      pin: text(8),
      nodes: z.int(),
    }),
  },
  'artifact.halt': {
    code: 'HF0704',
    detail: z.strictObject({ version: text(64), rollout: z.int(), reason: text(200) }),
  },
  'artifact.resume': { code: 'HF0705', detail: z.strictObject({ version: text(64), rollout: z.int() }) },
  'artifact.pause': { code: 'HF0706', detail: z.strictObject({ version: text(64), rollout: z.int() }) },
  'node.update': {
    code: 'HF0710',
    detail: z.strictObject({
      ring: text(32),
      rollout: z.int(),
      version: text(64),
      from: text(64),
      result: text(16),
      reason: reason.optional(),
    }),
  },
  // Of a request and its two people: see lib/secrets/reveal.ts.
  'secret.reveal.ask': {
    code: 'HF0512',
    detail: z.strictObject({ request: text(32), reason: text(200) }),
  },
  'secret.reveal.approve': { code: 'HF0513', detail: z.strictObject({ request: text(32), asked: text(256) }) },
  'secret.reveal': {
    code: 'HF0514',
    detail: z.strictObject({ request: text(32), approved: text(256), version: z.int() }),
  },
  'secret.reveal.refuse': { code: 'HF0515', detail: z.strictObject({ reason }) },
  'secret.refuse': { code: 'HF0511', detail: z.strictObject({ reason, release: z.int() }) },
  'siem.add': { code: 'HF0600', detail: destination },
  'siem.update': { code: 'HF0601', detail: destination },
  'siem.remove': { code: 'HF0602', detail: z.strictObject({ next: z.int() }) },
  'siem.pause': { code: 'HF0603', detail: z.strictObject({}) },
  'siem.resume': { code: 'HF0604', detail: z.strictObject({}) },
  'siem.test': { code: 'HF0605', detail: z.strictObject({ nonce: text(32) }) },
  'siem.test.confirm': { code: 'HF0606', detail: z.strictObject({ nonce: text(32) }) },
  'siem.replay': { code: 'HF0607', detail: z.strictObject({ from: z.int(), to: z.int() }) },
  // By the dispatcher itself.
  'siem.state': {
    code: 'HF0608',
    detail: z.strictObject({ from: text(16), to: text(16), reason: text(300).optional() }),
  },
});

export type OperationType = keyof typeof operations;

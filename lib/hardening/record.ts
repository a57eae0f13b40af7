/** Findings in the audit log: of the server's own process, and of a node's agent as it told them. */
import type { Logger } from 'pino';
import type { AuditLog } from '../audit/port.ts';
import { systemActor } from '../audit/system-entry.ts';
import type { VerifiedProgram } from '../crypto/program.ts';
import type { Finding } from './finding.ts';
import { createProbe } from './probe.ts';
import { createProcessWatch } from './watch.ts';

/** Far below what anybody waits for, and nothing beside the work of a server. */
const intervalMs = 60_000;

export type ServerWatch = {
  readonly audit: Pick<AuditLog, 'deny'>;
  /** What the entries are about, as `demo`. */
  readonly server: string;
  readonly program: VerifiedProgram;
  readonly logger: Logger;
  readonly now: () => number;
};

/** Looks now and every minute, until the returned function is called. */
export async function watchServer({ audit, server, program, logger, now }: ServerWatch): Promise<() => void> {
  const watch = createProcessWatch(createProbe(program), now);
  const look = async () => {
    const findings = watch.look();
    for (const each of findings) {
      logger.warn({ finding: each }, 'Somebody else is in this process, or was at its start');
      await audit.deny(findingEvent(each, { kind: 'server', id: server }));
    }
    watch.told(findings);
  };
  await look();
  const timer = setInterval(() => void look(), intervalMs);
  timer.unref();
  return () => clearInterval(timer);
}

/** One entry a finding, in the node's name; what a node says of itself it signed. */
export async function recordNodeFindings(
  audit: Pick<AuditLog, 'deny'>,
  uuid: string,
  findings: readonly Finding[],
): Promise<void> {
  for (const each of findings) await audit.deny(findingEvent(each, { kind: 'node', id: uuid }));
}

function findingEvent(detail: Finding, object: { readonly kind: 'server' | 'node'; readonly id: string }) {
  const actor =
    object.kind === 'server' ? systemActor : ({ id: object.id, kind: 'node', auth: 'node-signature' } as const);
  return { type: 'process.finding', actor, object, outcome: 'success', detail: { ...detail } } as const;
}

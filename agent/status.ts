/** `status`: what the state directory says of this node. Asks nobody, changes nothing. */
import { X509Certificate } from 'node:crypto';
import { parseDescriptor } from '../lib/identity/descriptor.ts';
import { describeError } from './converge.ts';
import { openHeldRelease } from './held-release.ts';
import { openStateDirectory, readNode, readRequired, stateFiles } from './state.ts';

export type AgentStatus = {
  readonly fleet: string;
  readonly uuid: string;
  readonly name: string;
  readonly labels: { readonly [label: string]: string };
  readonly gateway: string;
  readonly server: string;
  /** ISO 8601. */
  readonly certificateExpires: string;
  readonly release:
    | { readonly state: 'none' }
    | { readonly state: 'held'; readonly number: number; readonly digest: string; readonly expires: string }
    | { readonly state: 'unusable'; readonly reason: string };
};

/** Throws `AgentError` when there is no joined node, or its state is damaged. */
export async function readStatus(directory: string, now: number): Promise<AgentStatus> {
  const state = await openStateDirectory(directory);
  const node = await readNode(state);
  const descriptor = parseDescriptor(await readRequired(state, stateFiles.fleet));
  const certificate = new X509Certificate(await readRequired(state, stateFiles.tlsCertificate));
  return {
    fleet: node.fleet,
    uuid: node.uuid,
    name: node.name,
    labels: node.labels,
    gateway: node.gateway,
    server: node.server,
    certificateExpires: new Date(certificate.validTo).toISOString(),
    release: await openHeldRelease(state, descriptor, node)
      .load(now)
      .then(describeRelease, (error: unknown) => ({ state: 'unusable', reason: describeError(error) }) as const),
  };
}

export function formatStatus(status: AgentStatus, isJson: boolean): string {
  if (isJson) {
    return `${JSON.stringify(status, undefined, 2)}\n`;
  }
  const labels = Object.entries(status.labels).map(([name, value]) => `${name}=${value}`);
  const rows: readonly (readonly [string, string])[] = [
    ['fleet', status.fleet],
    ['node', `${status.name} (${status.uuid})`],
    ['labels', labels.length === 0 ? 'none' : labels.join(', ')],
    ['gateway', status.gateway],
    ['server', status.server],
    ['certificate', `until ${status.certificateExpires}`],
    ['release', formatRelease(status.release)],
  ];
  return rows.map(([name, value]) => `${name.padEnd(12)} ${value}\n`).join('');
}

function describeRelease(
  release: Awaited<ReturnType<ReturnType<typeof openHeldRelease>['load']>>,
): AgentStatus['release'] {
  if (release === undefined) {
    return { state: 'none' };
  }
  const expires = new Date(release.manifest.expires).toISOString();
  return { state: 'held', number: release.manifest.number, digest: release.digest, expires };
}

function formatRelease(release: AgentStatus['release']): string {
  switch (release.state) {
    case 'none':
      return 'none yet';
    case 'held':
      return `${release.number} until ${release.expires} (${release.digest})`;
    case 'unusable':
      return `not usable: ${release.reason}`;
    default:
      return release satisfies never;
  }
}

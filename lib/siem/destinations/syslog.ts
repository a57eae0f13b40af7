/**
 * Syslog over TLS (RFC 5424, RFC 5425), with a client certificate where one is configured. Each batch has a connection of
 * its own, since its end is the only answer that there is.
 */
import type { ConfigOf } from '../config.ts';
import type { Credentials, Destination, Rejection, SendResult } from '../destination.ts';
import { contextOf } from '../mappings/map.ts';
import type { Endpoint } from '../network.ts';
import { resultOfError } from '../network-error.ts';
import { formatFrame } from './syslog-frame.ts';
import { sendSession } from './syslog-session.ts';

type Config = ConfigOf<'syslog'>;

export function openSyslog(config: Config): Destination {
  /** Whether this receiver says `close_notify` when it closes; once it has, one without is a death. */
  let notifies: boolean | undefined;

  async function deliver(endpoint: Endpoint, frames: Uint8Array, signal: AbortSignal): Promise<SendResult> {
    try {
      // An empty session first: how a receiver closes that has nothing to lose.
      notifies ??= (await sendSession(endpoint, new Uint8Array(), signal)) === 'notified';
      const ending = await sendSession(endpoint, frames, signal);
      if (ending === 'bare' && notifies)
        return { kind: 'transient', reason: 'the receiver ended without close_notify' };
      notifies = ending === 'notified';
      return { kind: 'delivered' };
    } catch (error) {
      return resultOfError(error);
    }
  }

  return {
    limits: { maxEvents: 2000, maxBytes: 2 * 1024 * 1024 },
    async send(batch, credentials, signal) {
      const rejected: Rejection[] = [];
      const frames = batch.events.flatMap((event, index) => {
        const frame = formatFrame(config, event, contextOf(batch, index));
        if (frame === undefined) rejected.push({ index, reason: 'oversize' });
        return frame ?? [];
      });
      if (frames.length > 0) {
        const result = await deliver(endpointOf(config, credentials), Buffer.concat(frames), signal);
        if (result.kind !== 'delivered') return result;
      }
      return rejected.length === 0 ? { kind: 'delivered' } : { kind: 'partial', rejected };
    },
    async close() {
      // Nothing is kept open between batches.
    },
  };
}

function endpointOf({ host, port, network, clientCertificate }: Config, { clientKey }: Credentials): Endpoint {
  const endpoint = { host, port, network };
  if (clientCertificate === undefined || clientKey === undefined) return endpoint;
  return { ...endpoint, identity: { certificate: clientCertificate, key: clientKey.reveal() } };
}

/** Every kind of destination with a receiver that runs, so that a suite or a bench can treat them all alike. */
import { type ConfigOf, type DestinationKind, destinationConfig } from '../../lib/siem/config.ts';
import type { Credentials, Destination } from '../../lib/siem/destination.ts';
import { openSyslog } from '../../lib/siem/destinations/syslog.ts';
import { type HttpsReceiver, startHttpsReceiver } from './https-receiver.ts';
import type { LoopbackTls, ServerCertificate } from './loopback-tls.ts';
import { httpFixtures, type KindFixture, type Network, type Receiver, type Taken } from './siem-receivers.ts';
import { startSyslogReceiver } from './syslog-receiver.ts';

export type RunningReceiver = {
  readonly port: number;
  /** Events in the order that they came, duplicates dropped as the product drops them. */
  readonly taken: () => readonly Taken[];
  /** Whole messages as they came, of a kind that is no HTTP. */
  readonly sent: () => readonly string[];
  /** Shows this certificate from now on. */
  readonly certify: (shown: ServerCertificate) => void;
  /** Of a kind that is spoken to in HTTP. */
  readonly http?: { readonly server: HttpsReceiver; readonly receiver: Receiver };
  readonly close: () => Promise<void>;
};

export type RunningKind = {
  readonly kind: DestinationKind;
  readonly credentials: Credentials;
  readonly open: (base: string, network: Network) => Destination;
  readonly start: (tls: LoopbackTls) => Promise<RunningReceiver>;
};

function overHttp(fixture: KindFixture): RunningKind {
  return {
    ...fixture,
    async start(tls) {
      const receiver = fixture.receiver();
      const server = await startHttpsReceiver(tls, receiver.handle);
      const { port, certify, close } = server;
      return { port, certify, close, sent: () => [], taken: () => receiver.taken, http: { server, receiver } };
    },
  };
}

const syslog: RunningKind = {
  kind: 'syslog',
  credentials: {},
  open(base, network) {
    const { hostname: host, port } = new URL(base);
    const config = { kind: 'syslog', name: 'test', mapping: 'raw', host, port: Number(port), network };
    return openSyslog(destinationConfig.parse(config) as ConfigOf<'syslog'>);
  },
  async start(tls) {
    const receiver = await startSyslogReceiver(tls);
    const { port, certify, close } = receiver;
    const { messages } = receiver;
    return { port, certify, close, sent: () => messages, taken: () => distinct(messages.map(takenOf)) };
  },
};

/** The message after the structured data is the raw mapping. */
function takenOf(message: string): Taken {
  const { id, raw } = JSON.parse(message.slice(message.indexOf('] {') + 2));
  return { id, raw };
}

function distinct(events: readonly Taken[]): readonly Taken[] {
  const first = new Map<string, Taken>();
  for (const event of events) if (!first.has(event.id)) first.set(event.id, event);
  return [...first.values()];
}

export const runningKinds: Readonly<Record<string, RunningKind>> = {
  ...Object.fromEntries(Object.entries(httpFixtures).map(([name, fixture]) => [name, overHttp(fixture)])),
  syslog,
};

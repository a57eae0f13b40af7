/** Pushes: what the gateway tells its sessions unasked, spread over time so that the answer is no herd. */

import type { NodeDirectory } from '../../lib/identity/directory.ts';
import { encodeAnswer } from '../../lib/wire/messages.ts';
import type { Connections, OpenStream } from './connections.ts';
import { wireRef } from './session.ts';

export type Pushes = {
  /** Tells every session of the current release, each within `pushSpreadMs`; a later release in that time is the one told. */
  release(): void;
  /** Tells every session to check in, spread like a release: something other than the release is new. */
  checkIn(): void;
  /** Check in now, and converge then when `run`. False when there is no session to tell. */
  wake(uuid: string, asked?: { readonly run: boolean; readonly dryRun: boolean }): boolean;
  drain(stream: OpenStream, reconnectAfterMs: number): void;
  close(): void;
};

/** Between two nodes that are asked to come back: 200 a second. */
const msPerCheckIn = 5;

export function createPushes(deps: {
  readonly connections: Connections;
  readonly directory: Pick<NodeDirectory, 'release' | 'get'>;
  readonly random: () => number;
  readonly pushSpreadMs: number;
}): Pushes {
  const due = new Map<OpenStream, NodeJS.Timeout>();
  const dueCheckIns = new Map<OpenStream, NodeJS.Timeout>();
  const wakeMessage = encodeWake({ run: false, dryRun: false });

  return {
    release: () => tellAll(due, deps.pushSpreadMs, tellRelease),
    // Each of them then asks for its secrets, which are read, recorded and sealed one by one.
    checkIn: () =>
      tellAll(dueCheckIns, Math.max(deps.pushSpreadMs, deps.connections.size * msPerCheckIn), (stream) =>
        stream.push(wakeMessage),
      ),
    wake(uuid, asked) {
      const message = asked === undefined ? wakeMessage : encodeWake(asked);
      const sessions = sessionsOf(deps.connections, uuid);
      for (const stream of sessions) stream.push(message);
      return sessions.length > 0;
    },
    drain(stream, reconnectAfterMs) {
      if (stream.method !== 'session') return;
      const push = { case: 'drain', value: { reconnectAfterMs } } as const;
      stream.push(encodeAnswer({ answer: { case: 'push', value: { push } } }));
    },
    close() {
      for (const timer of [...due.values(), ...dueCheckIns.values()]) clearTimeout(timer);
      due.clear();
      dueCheckIns.clear();
    },
  };

  /** One telling a stream waits at a time; what is told is what holds then. */
  function tellAll(
    waiting: Map<OpenStream, NodeJS.Timeout>,
    spreadMs: number,
    tell: (stream: OpenStream, uuid: string) => void,
  ): void {
    for (const { streams, uuid } of deps.connections.all()) {
      for (const stream of streams) {
        if (stream.method !== 'session' || waiting.has(stream)) continue;
        const now = () => {
          waiting.delete(stream);
          if (streams.has(stream)) tell(stream, uuid);
        };
        waiting.set(stream, setTimeout(now, deps.random() * spreadMs).unref());
      }
    }
  }

  function tellRelease(stream: OpenStream, uuid: string): void {
    const release = deps.directory.release();
    // A quarantined node gets no policy, nor word of it.
    if (!release || deps.directory.get(uuid)?.state !== 'active') return;
    const push = { case: 'release', value: wireRef(release) } as const;
    stream.push(encodeAnswer({ answer: { case: 'push', value: { push } } }));
  }
}

/** The sessions that a node holds open. */
export function sessionsOf(connections: Pick<Connections, 'ofNode'>, uuid: string): readonly OpenStream[] {
  return connections.ofNode(uuid).flatMap(({ streams }) => [...streams].filter(({ method }) => method === 'session'));
}

function encodeWake(asked: { readonly run: boolean; readonly dryRun: boolean }): Buffer {
  return encodeAnswer({ answer: { case: 'push', value: { push: { case: 'wake', value: asked } } } });
}

/**
 * One connection to a syslog receiver: everything is written, our side is closed, and then it is heard how the receiver
 * closes its own. Syslog has no answers; a clean close after ours is all that a receiver says, and a write says nothing,
 * since what was written may stand in a buffer of either machine when the receiver dies.
 *
 * Three things tell a close that means "read" from any other. A receiver that closes with something unread resets the
 * connection (RFC 9293 §3.6.1), which is an error here. One that closed before our last bytes came is found out because
 * we wait for longer than a round trip between the last write and our own close. And one whose process was killed
 * sends no `close_notify` (RFC 8446 §6.1); but some receivers never do, so whether this one does is learned first.
 */

import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectSecurely, type Endpoint } from '../network.ts';
import { NetworkError } from '../network-error.ts';

/** How the receiver closed: with `close_notify` of TLS and the end of TCP, or with the latter alone. */
export type Ending = 'notified' | 'bare';

/** Resolves once the receiver has closed after us. Throws `NetworkError`, or what the connection failed with. */
export async function sendSession(endpoint: Endpoint, bytes: Uint8Array, signal: AbortSignal): Promise<Ending> {
  let watched: Watched | undefined;
  const started = performance.now();
  const tls = await connectSecurely(
    {
      ...endpoint,
      wrap: (socket) => {
        watched = watch(socket);
        return watched.stream;
      },
    },
    signal,
  );
  const { raw, stream, state } = watched!;
  const roundTripMs = performance.now() - started;
  let failure: Error | undefined;
  const failed = new Promise<never>((_, reject) => {
    const fail = (error: Error) => {
      failure ??= error;
      reject(failure);
    };
    tls.on('error', fail);
    raw.on('error', fail);
    signal.addEventListener('abort', () => fail(new NetworkError('aborted', 'it took too long')), { once: true });
  });
  failed.catch(() => undefined);
  const notified = new Promise<void>((done) => tls.once('end', done));
  let isNotified = false;
  void notified.then(() => {
    isNotified = true;
  });
  tls.resume();
  try {
    if (signal.aborted) throw new NetworkError('aborted', 'it took too long');
    await Promise.race([failed, new Promise<void>((done) => tls.write(bytes, () => done()))]);
    await Promise.race([failed, sleep(Math.min(Math.max(2 * roundTripMs, minPauseMs), maxPauseMs))]);
    if (isNotified || state.isEnded) throw new NetworkError('closed', 'the receiver closed first');
    tls.end();
    await Promise.race([failed, state.ended]);
    // What came before the end of TCP was given to TLS before; it is read by now, or in the next rounds of the loop.
    for (let round = 0; round < 4 && !isNotified; round += 1) await new Promise((done) => setImmediate(done));
    if (failure !== undefined) throw failure;
    return isNotified ? 'notified' : 'bare';
  } finally {
    tls.on('error', () => undefined);
    tls.destroy();
    stream.destroy();
    raw.destroy();
  }
}

const minPauseMs = 10;
const maxPauseMs = 1000;

type Watched = {
  readonly raw: Socket;
  readonly stream: Duplex;
  readonly state: { isEnded: boolean; readonly ended: Promise<void> };
};

/** A stream over a socket that TLS reads and writes, but can neither end unheard nor destroy. */
function watch(raw: Socket): Watched {
  let end: () => void = () => undefined;
  const state = { isEnded: false, ended: new Promise<void>((done) => (end = done)) };
  const stream = new Duplex({
    allowHalfOpen: true,
    read: () => raw.resume(),
    write: (chunk, _encoding, done) => {
      raw.write(chunk, (error) => done(error ?? null));
    },
    final: (done) => {
      raw.end(() => done());
    },
  });
  raw.on('data', (chunk: Buffer) => {
    if (!stream.push(chunk)) raw.pause();
  });
  raw.on('end', () => {
    state.isEnded = true;
    end();
  });
  raw.on('error', (error) => stream.destroy(error));
  raw.on('close', () => {
    if (!state.isEnded) stream.destroy(new NetworkError('closed', 'the connection was cut'));
  });
  return { raw, stream, state };
}

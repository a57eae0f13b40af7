/** A destination for tests: keeps what it was sent, and answers as it is told. */
import type { Credentials, Destination, OpenDestination, SendResult } from '../../lib/siem/destination.ts';
import type { Batch, FeedEvent } from '../../lib/siem/event.ts';

export type FakeDestination = Destination & {
  /** Every batch that was sent, also those that it did not take. */
  readonly batches: Batch[];
  /** The events of the batches that it took, in order of arrival. */
  readonly events: FeedEvent[];
  readonly credentials: Credentials[];
  /** Answers the next sends; once it is used up, everything is `delivered`. */
  readonly answers: (SendResult | ((batch: Batch, signal: AbortSignal) => SendResult | Promise<SendResult>))[];
  /** Answers questions about what is pending, likewise. */
  readonly confirmations: SendResult[];
  readonly confirmed: string[];
};

export function createFakeDestination(limits: Destination['limits'] = { maxEvents: 500, maxBytes: 5_000_000 }) {
  const fake: FakeDestination = {
    limits,
    batches: [],
    events: [],
    credentials: [],
    answers: [],
    confirmations: [],
    confirmed: [],
    async send(batch, credentials, signal) {
      fake.batches.push(batch);
      fake.credentials.push(credentials);
      const next = fake.answers.shift() ?? { kind: 'delivered' };
      const result = typeof next === 'function' ? await next(batch, signal) : next;
      if (result.kind === 'delivered' || result.kind === 'pending') fake.events.push(...batch.events);
      if (result.kind === 'partial') {
        const rejected = new Set(result.rejected.map(({ index }) => index));
        fake.events.push(...batch.events.filter((_, index) => !rejected.has(index)));
      }
      return result;
    },
    async confirm(token) {
      fake.confirmed.push(token);
      return fake.confirmations.shift() ?? { kind: 'delivered' };
    },
    async close() {},
  };
  return fake;
}

/** Opens the fake of a configuration's name. */
export function openFakes(fakes: { readonly [name: string]: Destination }): OpenDestination {
  return ({ name }) => {
    const fake = fakes[name];
    if (fake === undefined) throw new TypeError(`there is no fake for ${name}`);
    return fake;
  };
}

/**
 * Leases: what an executor gets of the host, for as long as its resource has its turn and no longer. So a check can't
 * change anything even by a cast, and an apply that goes on after its time was up can't change anything any more,
 * whatever its author forgot.
 */
import { type Command, type Host, HostError, type HostView, type Ownership, type Place } from './host.ts';

export type HostLease = {
  /** For checks: has nothing that changes. */
  readonly view: HostView;
  readonly host: Host;
  /** From here on, both refuse to run or change anything. */
  end(): void;
};

export function leaseHost(host: Host): HostLease {
  const term: Term = { isOver: false };
  return {
    view: new LeasedView(host, term),
    host: new LeasedHost(host, term),
    end() {
      term.isOver = true;
    },
  };
}

type Term = { isOver: boolean };

/** Invariant: has no method that changes the machine. */
class LeasedView<H extends HostView = HostView> implements HostView {
  readonly #host: H;
  readonly #term: Term;

  constructor(host: H, term: Term) {
    this.#host = host;
    this.#term = term;
  }

  get self() {
    return this.#host.self;
  }
  get platform() {
    return this.#host.platform;
  }
  inspect(place: Place) {
    return this.#host.inspect(place);
  }
  digest(place: Place) {
    return this.#host.digest(place);
  }
  read(place: Place, maxBytes: number) {
    return this.#host.read(place, maxBytes);
  }
  list(place: Place) {
    return this.#host.list(place);
  }
  parsed<T>(place: Place, parse: (text: string | undefined) => T) {
    return this.#host.parsed(place, parse);
  }
  remembered<T>(key: string, make: () => Promise<T>) {
    return this.#host.remembered(key, make);
  }
  async probe(command: Command) {
    return this.current().probe(command);
  }
  userId(account: string | number) {
    return this.#host.userId(account);
  }
  groupId(account: string | number) {
    return this.#host.groupId(account);
  }
  /** The host, while the lease lasts. */
  protected current(): H {
    if (this.#term.isOver) {
      throw new HostError('timed_out', 'the resource had its turn; nothing more is done for it');
    }
    return this.#host;
  }
}

/** Invariant: changes nothing once the lease is over. */
class LeasedHost extends LeasedView<Host> implements Host {
  async writeFile(
    place: Place,
    content: Uint8Array,
    ownership: Ownership,
    validate?: (temporary: string) => Promise<void>,
  ) {
    return this.current().writeFile(place, content, ownership, validate);
  }
  async makeDirectory(place: Place, ownership: Ownership) {
    return this.current().makeDirectory(place, ownership);
  }
  async setDirectory(place: Place, ownership: Ownership) {
    return this.current().setDirectory(place, ownership);
  }
  async writeSymlink(place: Place, target: string) {
    return this.current().writeSymlink(place, target);
  }
  async removeFile(place: Place) {
    return this.current().removeFile(place);
  }
  async removeDirectory(place: Place, options: { readonly recurse: boolean }) {
    return this.current().removeDirectory(place, options);
  }
  async run(command: Command) {
    return this.current().run(command);
  }
  async sweep(place: Place) {
    return this.current().sweep(place);
  }
}

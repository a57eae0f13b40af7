/**
 * Leases: what an executor gets of the host, for as long as its resource has its turn and no longer. So a check can't
 * change anything even by a cast, and an apply that goes on after its time was up can't change anything any more,
 * whatever its author forgot.
 */
import { type Host, HostError, type HostView } from './host.ts';

export type HostLease = {
  /** For checks: has nothing that changes. */
  readonly view: HostView;
  readonly host: Host;
  /** From here on, both refuse. */
  end(): void;
};

/** The view alone: an object without the methods that change. */
export function viewOf(host: HostView): HostView {
  return {
    self: host.self,
    platform: host.platform,
    inspect: host.inspect,
    digest: host.digest,
    read: host.read,
    list: host.list,
    parsed: host.parsed,
    remembered: host.remembered,
    probe: host.probe,
    userId: host.userId,
    groupId: host.groupId,
  };
}

export function leaseHost(host: Host): HostLease {
  let isOver = false;
  /** The method, while the lease lasts. */
  function leased<A extends readonly unknown[], R>(method: (...args: A) => Promise<R>): (...args: A) => Promise<R> {
    return async (...args) => {
      if (isOver) {
        throw new HostError('timed_out', 'the resource had its turn; nothing more is done for it');
      }
      return method(...args);
    };
  }
  const full: Host = {
    ...viewOf(host),
    probe: leased(host.probe),
    writeFile: leased(host.writeFile),
    makeDirectory: leased(host.makeDirectory),
    setDirectory: leased(host.setDirectory),
    writeSymlink: leased(host.writeSymlink),
    removeFile: leased(host.removeFile),
    removeDirectory: leased(host.removeDirectory),
    run: leased(host.run),
    sweep: leased(host.sweep),
  };
  return {
    view: viewOf(full),
    host: full,
    end() {
      isOver = true;
    },
  };
}

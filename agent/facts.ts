/**
 * Facts: all collectors at once, each with its own time, and none that fails or hangs keeps the others from being
 * told. The result has one encoding and one digest, by which the control plane knows whether anything is new.
 */
import { sha256 } from '../lib/crypto/digest.ts';
import { utf8 } from '../lib/crypto/encoding.ts';
import { canonicalize, type Json } from '../lib/crypto/jcs.ts';
import {
  type FactGroupName,
  type FactGroups,
  type Facts,
  factGroupNames,
  factGroups,
  maxFactItems,
  maxFactsBytes,
} from '../lib/policy/facts.ts';
import { messageOf } from './errors.ts';
import {
  collectCloud,
  collectCpu,
  collectDisks,
  collectMemory,
  collectNetwork,
  collectVirtualization,
} from './facts/hardware.ts';
import type { Machine } from './facts/machine.ts';
import {
  collectKernel,
  collectOs,
  collectPackages,
  collectSecurity,
  collectServices,
  collectTime,
  collectUsers,
} from './facts/system.ts';

export type Collectors = { readonly [Name in FactGroupName]: (machine: Machine) => Promise<FactGroups[Name]> };

export const collectors: Collectors = {
  os: collectOs,
  kernel: collectKernel,
  cpu: collectCpu,
  memory: collectMemory,
  disks: collectDisks,
  network: collectNetwork,
  virtualization: collectVirtualization,
  cloud: collectCloud,
  packages: collectPackages,
  services: collectServices,
  users: collectUsers,
  time: collectTime,
  security: collectSecurity,
};

export type CollectDeps = {
  readonly machine: Machine;
  /** A signal that fires after so many milliseconds. */
  deadline(timeoutMs: number): AbortSignal;
  readonly collectors?: Collectors;
  /** Told of each group that is missing, and why. */
  readonly onMissing?: (group: FactGroupName, reason: string) => void;
};

/** `bytes` is canonical JSON; `digest` its SHA-256. */
export type CollectedFacts = { readonly facts: Facts; readonly bytes: Uint8Array; readonly digest: Uint8Array };

/** For one collector. Files of /proc and /sys answer at once, but a driver or a dead mount may not. */
export const collectorTimeoutMs = 2_000;
const maxTextChars = 256;
/** Left out, in this order, when a machine has more to tell than a report can carry. */
const bulky = ['users', 'disks', 'network'] as const satisfies readonly FactGroupName[];

/** Collects all facts. Never throws: what could not be collected is in `missing`. */
export async function collectFacts(deps: CollectDeps): Promise<CollectedFacts> {
  const found = await Promise.all(factGroupNames.map((name) => collectGroup(name, deps)));
  const groups = new Map(found.flatMap((group) => (group === undefined ? [] : [group])));
  let encoded = encode(groups);
  for (const name of bulky) {
    if (encoded.bytes.length <= maxFactsBytes) break;
    deps.onMissing?.(name, `all facts together are over ${maxFactsBytes} bytes`);
    groups.delete(name);
    encoded = encode(groups);
  }
  return { ...encoded, digest: sha256(encoded.bytes) };
}

async function collectGroup(
  name: FactGroupName,
  { machine, deadline, onMissing, collectors: given = collectors }: CollectDeps,
): Promise<readonly [FactGroupName, Json] | undefined> {
  try {
    const value = bounded(await within<unknown>(deadline(collectorTimeoutMs), given[name](machine)));
    const parsed = factGroups[name].safeParse(value);
    if (parsed.success) return [name, parsed.data as Json];
    onMissing?.(name, `what was collected is no such fact: ${parsed.error.issues[0]?.path.join('.') ?? ''}`);
  } catch (error) {
    onMissing?.(name, messageOf(error));
  }
  return undefined;
}

function encode(groups: ReadonlyMap<FactGroupName, Json>): { readonly facts: Facts; readonly bytes: Uint8Array } {
  const missing = factGroupNames.filter((name) => !groups.has(name));
  const json = { ...Object.fromEntries(groups), missing };
  return { facts: json as Facts, bytes: utf8(canonicalize(json)) };
}

function within<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(new Error('its time was up'));
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/** Texts and lists cut to what a fact can be, and text made well-formed: a file of the machine may hold anything. */
function bounded(value: unknown): unknown {
  if (typeof value === 'string') return value.slice(0, maxTextChars).toWellFormed();
  if (Array.isArray(value)) return value.slice(0, maxFactItems).map(bounded);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, bounded(member)]));
}

/** The fleet in the audit log: founded once, recorded once, and compared at every boot with what was recorded. */
import type { AuditLog } from '../../lib/audit/port.ts';
import { systemActor } from '../../lib/audit/system-entry.ts';
import { toBase64url } from '../../lib/crypto/encoding.ts';
import { parseSshPublicKey, sshFingerprint } from '../../lib/crypto/ssh-key.ts';
import type { Store } from '../../lib/store/port.ts';
import { StandaloneError } from './errors.ts';
import type { Fleet } from './fleet.ts';

const fleetKey = { pk: 'fleet', sk: 'descriptor' } as const;

/** Throws `StandaloneError` `fleet_altered` when the store knows another fleet than the state directory holds. */
export async function recordFleet(
  deps: { readonly store: Store; readonly audit: AuditLog },
  fleet: Fleet,
): Promise<void> {
  const pin = toBase64url(fleet.pin);
  const recorded = await deps.store.get(fleetKey);
  if (recorded === undefined) {
    // Also after a crash between the descriptor's file and this: then the entry is made up for now.
    const { threshold, keys } = fleet.descriptor.operators;
    const operators = keys.map((line) => sshFingerprint(parseSshPublicKey(line)));
    await deps.audit.append(
      {
        type: 'fleet.create',
        actor: systemActor,
        object: { kind: 'fleet', id: fleet.descriptor.fleet },
        outcome: 'success',
        detail: { pin, threshold, operators },
      },
      [{ kind: 'put', item: { ...fleetKey, pin }, when: { kind: 'absent' } }],
    );
  } else if (recorded['pin'] !== pin) {
    throw new StandaloneError('fleet_altered', 'the fleet descriptor is not the one that this store was made with', {
      hint: "restore fleet.json from a backup or from the operator's copy; every node refuses the changed one",
    });
  }
}

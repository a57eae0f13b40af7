/** The operator's own copy of the fleet descriptor: what a server must present before anything is minted or signed for it. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { StatusView } from '../functions/admin/routes/status.ts';
import { toBase64url } from '../lib/crypto/encoding.ts';
import { type FleetDescriptor, fleetPin, parseDescriptor } from '../lib/identity/descriptor.ts';
import type { Client } from './client.ts';
import { globalsOf } from './command.ts';
import { CliError } from './errors.ts';

export type OwnFleet = { readonly descriptor: FleetDescriptor; readonly pin: Uint8Array };

export const fleetOption = [
  '--fleet <file>',
  "the operator's own copy of the fleet descriptor (default <state>/operator/fleet.json)",
] as const;

/** Reads the copy that `--fleet` names, or the one that the first start left for the operator. */
export async function readOwnFleet(command: Command): Promise<OwnFleet> {
  const { fleet } = command.opts<{ fleet?: string }>();
  return readOwn(fleet ?? join(globalsOf(command).state, 'operator', 'fleet.json'));
}

/** Reads a copy of the descriptor. Throws `CliError` or `IdentityError`. */
export async function readOwn(path: string): Promise<OwnFleet> {
  const bytes = await readFile(path).catch((cause: NodeJS.ErrnoException) => {
    throw new CliError('failure', `can't read the operator's copy of the fleet descriptor: ${path} (${cause.code})`, {
      hint: 'name it with --fleet FILE; a copy kept apart from the server is one that the server can not change',
      cause,
    });
  });
  return { descriptor: parseDescriptor(bytes), pin: fleetPin(bytes) };
}

/** Refuses a server that presents another fleet than the operator knows. */
export async function requireSameFleet(client: Client, own: OwnFleet): Promise<StatusView> {
  const status = await client.get<StatusView>('/v1/status');
  const expected = toBase64url(own.pin);
  if (status.pin !== expected)
    throw new CliError('refused', 'the server presents another fleet than the operator knows; nothing was done', {
      details: [`server:   ${status.pin}`, `operator: ${expected}`],
      hint: 'find out which of the two was changed before you trust either',
    });
  return status;
}

/** The second machine of the demonstration: it joins, is revoked, and never comes back, after a restart neither. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { hashTokenSecret, parseEnrollmentToken } from '../../lib/crypto/token.ts';
import { prove } from './demo-report.ts';
import { errorLine, joinFleet, mint, type Round, readNodeUuid, succeed, tryJoin } from './demo-round.ts';
import { readWhole, writeWhole } from './files.ts';

const hostname = 'demo-2';
const attempted = z.object({ uuid: z.string() });

/**
 * A machine that joins and is revoked: its next run is refused, and so is its UUID with a fresh token. Where an earlier
 * demonstration revoked it, it tries again to come back.
 */
export async function rejectGuest(round: Round, state: string): Promise<void> {
  const { report } = round;
  const earlier = await readWhole(attemptFile(state));
  if (earlier !== undefined) {
    const { uuid } = attempted.parse(JSON.parse(Buffer.from(earlier).toString('utf8')));
    await report.step('still revoked', () => refuseReturn(round, state, uuid));
    return;
  }
  await rm(state, { recursive: true, force: true });
  const uuid = await report.step('second machine joined', async () => {
    await joinFleet(round, (await mint(round)).token, state, hostname);
    const joined = await readNodeUuid(state);
    prove(joined !== undefined, 'the agent did not write who it is');
    return [joined, joined];
  });
  await report.step('revoked, refused', async () => {
    await succeed(round, 'holdfast', [
      'node',
      'revoke',
      uuid,
      '--reason',
      'demonstration',
      '--state',
      round.server.paths.root,
    ]);
    const next = await round.commands.run('holdfast-agent', ['run', '--once', '--state', state]);
    prove(next.code === 3, `the revoked node was not refused (exit code ${next.code})`);
    return [`its next run: ${errorLine(next)}`, undefined];
  });
  await report.step('re-enrollment refused', () => refuseReturn(round, state, uuid));
}

async function refuseReturn(round: Round, state: string, uuid: string) {
  const { token } = await mint(round);
  await pretendUnjoined(state, uuid, token);
  const again = await tryJoin(round, token, state, hostname);
  prove(again.code === 3, `the revoked UUID was not refused (exit code ${again.code})`);
  return [`${uuid} and its key, with a fresh token, are refused`, undefined] as const;
}

/** Leaves the state of a machine that is about to join as `uuid`, with the keys that it had. */
async function pretendUnjoined(state: string, uuid: string, token: string): Promise<void> {
  const attempt = { v: 1, uuid, hostname, token: hashTokenSecret(parseEnrollmentToken(token).secret) };
  await writeWhole(attemptFile(state), JSON.stringify(attempt));
  await rm(join(state, 'node.json'), { force: true });
}

function attemptFile(state: string): string {
  return join(state, 'joining.json');
}

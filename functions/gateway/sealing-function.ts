/**
 * Secrets by the sealing function on AWS: the gateway relays the node's own signed request, and gets values that are sealed
 * to that node. It never sees one in plaintext, and has no right to read one.
 */
import { formatProof } from '../../lib/identity/proof.ts';
import { SecretsError } from '../../lib/secrets/errors.ts';
import type { GivenSecret } from '../../lib/secrets/give.ts';
import { type InvokeDeps, invokeFunction } from '../aws/invoke.ts';
import { parseAnswer, type SealingAnswer, type SealingRefusal } from '../secrets/answer.ts';
import { RequestRefused } from './refusals.ts';
import type { SecretSource } from './secrets.ts';

const messages: { readonly [reason in SealingRefusal]: string } = {
  PERMISSION_DENIED: 'A reference is in no crate that is bound to this node.',
  QUARANTINED: 'The node is quarantined.',
  RELEASE_CHANGED: 'Secrets are given for the current release only: check in first.',
  INVALID_REQUEST: 'Not a list of distinct secret paths.',
  UNAVAILABLE: 'Secrets are not available just now; try again later.',
};

/** `deps` name the sealing function. */
export function sealingByFunction(deps: InvokeDeps): SecretSource {
  return async ({ verified, paths }): Promise<readonly GivenSecret[]> => {
    const answer = await ask(deps, { holdfast: 'seal-secrets', proof: formatProof(verified.proof()) });
    if ('refused' in answer) throw new RequestRefused(answer.refused, messages[answer.refused]);
    const asked = new Set(paths);
    return answer.given.filter(({ path }) => asked.has(path));
  };
}

async function ask(deps: InvokeDeps, order: object): Promise<SealingAnswer> {
  try {
    return parseAnswer(await invokeFunction(deps, order));
  } catch (cause) {
    throw new SecretsError('unavailable', 'the sealing function does not answer', { cause });
  }
}

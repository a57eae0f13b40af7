/** Witnesses for tests: in memory, under a name, with what they remember to look at. */
import { cosignatureVerifier, formatWitnessKey } from '../../lib/audit/cosignature.ts';
import { createWitness, type Witness, type WitnessDeps } from '../../lib/audit/witness.ts';
import type { PostText } from '../../lib/audit/witness-client.ts';
import type { PolicyWitness } from '../../lib/audit/witness-policy.ts';
import { createTestSigner } from './audit-log.ts';

export type TestWitness = Witness & {
  readonly key: string;
  readonly policy: PolicyWitness;
  readonly held: Map<string, string>;
  readonly evidence: { readonly held: string; readonly offered: string }[];
};

export function createTestWitness(name: string, deps: Pick<WitnessDeps, 'logs' | 'now'>): TestWitness {
  const { raw, sign } = createTestSigner();
  const held = new Map<string, string>();
  const evidence: TestWitness['evidence'] = [];
  const witness = createWitness({
    ...deps,
    name,
    signer: { publicKey: raw, sign },
    state: { read: async (origin) => held.get(origin), write: async (origin, note) => void held.set(origin, note) },
    onMisbehaviour: (each) => void evidence.push(each),
  });
  const verifier = cosignatureVerifier(name, raw);
  return {
    ...witness,
    key: formatWitnessKey(name, raw),
    policy: { name, verifier, url: `test:${name}` },
    held,
    evidence,
  };
}

/** Carries requests to witnesses by their URL, without a network. */
export function postTo(...witnesses: readonly TestWitness[]): PostText {
  return async (url, body) => {
    const witness = witnesses.find(({ policy }) => url === `${policy.url}/add-checkpoint`);
    if (witness === undefined) throw new Error(`nobody at ${url}`);
    return witness.addCheckpoint(body);
  };
}

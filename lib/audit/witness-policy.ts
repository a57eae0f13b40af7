/** Which witnesses must have cosigned a checkpoint before it counts as witnessed (C2SP tlog-policy). */
import { toHex } from '../crypto/encoding.ts';
import { CryptoError } from '../crypto/errors.ts';
import { type NoteVerifier, openNote, parseNote, parseVerifierKey } from '../crypto/note.ts';
import { type CosignatureVerifier, parseWitnessKey, timestampOf } from './cosignature.ts';
import { AuditError } from './port.ts';

export type WitnessPolicy = {
  readonly logs: readonly NoteVerifier[];
  readonly witnesses: readonly PolicyWitness[];
  /** Decides over the names of those that cosigned. */
  readonly isQuorum: (cosigned: ReadonlySet<string>) => boolean;
};

export type PolicyWitness = {
  /** Within the policy. */
  readonly name: string;
  readonly verifier: CosignatureVerifier;
  /** Submission prefix (C2SP tlog-witness). */
  readonly url?: string;
};

/** C2SP tlog-policy asks for 32 of each at least. */
const maxMembers = 256;
const maxBytes = 256 * 1024;

type Rule = (cosigned: ReadonlySet<string>) => boolean;

/** Parses a policy file. Throws `AuditError` `malformed` and names the line. */
export function parsePolicy(text: string): WitnessPolicy {
  if (text.length > maxBytes) throw new AuditError('malformed', `a policy has at most ${maxBytes} bytes`);
  const logs: NoteVerifier[] = [];
  const witnesses: PolicyWitness[] = [];
  const rules = new Map<string, Rule>();
  const members = new Set<string>();
  const keys = new Set<string>();
  let quorum: Rule | undefined;

  function define(name: string | undefined, rule: Rule): string {
    if (name === undefined || name === 'none' || rules.has(name)) throw bad(`the name ${name ?? ''} can't be defined`);
    if (rules.size >= maxMembers) throw bad(`there are over ${maxMembers} witnesses and groups`);
    rules.set(name, rule);
    return name;
  }

  function once(kind: string, key: string): void {
    if (keys.has(`${kind} ${key}`)) throw bad('the key is there twice');
    keys.add(`${kind} ${key}`);
  }

  function group([name, threshold = '', ...names]: readonly string[]): void {
    const parts = names.map((each) => {
      const rule = rules.get(each);
      if (rule === undefined || members.has(each)) throw bad(`${each} is not defined before, or in a group already`);
      members.add(each);
      return rule;
    });
    const count = threshold === 'all' ? parts.length : threshold === 'any' ? 1 : decimal(threshold);
    if (count < 1 || count > parts.length) throw bad(`${threshold} of ${parts.length} members`);
    define(name, (cosigned) => parts.filter((rule) => rule(cosigned)).length >= count);
  }

  const parsers: Readonly<Record<string, (fields: readonly string[]) => void>> = {
    log: ([key = '', , ...more]) => {
      if (more.length > 0) throw bad('a log has a key and a URL');
      const log = parseVerifierKey(key);
      once('log', key.slice(key.indexOf('+', key.indexOf('+') + 1)));
      logs.push(log);
    },
    witness: ([name, key = '', url, ...more]) => {
      if (more.length > 0) throw bad('a witness has a name, a key and a URL');
      const verifier = parseWitnessKey(key);
      once('witness', toHex(verifier.publicKey));
      const defined = define(name, (cosigned) => cosigned.has(defined));
      witnesses.push({ name: defined, verifier, ...(url !== undefined && { url }) });
    },
    group,
    quorum: ([name = '', ...more]) => {
      const rule = name === 'none' ? () => true : rules.get(name);
      if (quorum !== undefined || rule === undefined || more.length > 0) throw bad('a policy has one defined quorum');
      quorum = rule;
    },
  };

  for (const [index, line] of text.split('\n').entries()) {
    const [keyword = '', ...fields] = line.split(/[ \t]+/).filter((field) => field !== '');
    if (keyword === '' || keyword.startsWith('#')) continue;
    try {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: C2SP tlog-policy, "Character set", forbids exactly these
      if (/[\u0000-\u0008\u000b-\u001f\u007f]/.test(line)) throw bad('control characters');
      const parse = Object.hasOwn(parsers, keyword) ? parsers[keyword] : undefined;
      if (parse === undefined) throw bad(`${keyword} is not known`);
      parse(fields);
    } catch (cause) {
      if (!(cause instanceof AuditError || cause instanceof CryptoError)) throw cause;
      throw new AuditError('malformed', `line ${index + 1} of the policy: ${cause.message}`, { cause });
    }
  }
  if (quorum === undefined) throw new AuditError('malformed', 'the policy has no quorum line');
  return { logs, witnesses, isQuorum: quorum };
}

export type Witnessed = {
  readonly isQuorum: boolean;
  /** Names within the policy of those whose cosignature verifies. */
  readonly by: readonly string[];
  /** Unix seconds, of the newest cosignature. */
  readonly newest: number;
};

/** Who cosigned an attacker-controlled note. A bad cosignature that claims a known key counts as none. */
export function witnessedBy(note: string | Uint8Array, policy: WitnessPolicy): Witnessed {
  const { signatures } = parseNote(note);
  const by: string[] = [];
  let newest = 0;
  for (const { name, verifier } of policy.witnesses) {
    const claimed = signatures.filter((each) => each.name === verifier.name && each.keyId === verifier.keyId);
    if (claimed.length === 0 || !opens(note, verifier)) continue;
    by.push(name);
    newest = Math.max(newest, ...claimed.map(({ signature }) => timestampOf(signature)));
  }
  return { isQuorum: policy.isQuorum(new Set(by)), by, newest };
}

function opens(note: string | Uint8Array, verifier: NoteVerifier): boolean {
  try {
    openNote(note, [verifier]);
    return true;
  } catch (cause) {
    if (cause instanceof CryptoError) return false;
    throw cause;
  }
}

function decimal(text: string): number {
  if (!/^[1-9][0-9]{0,3}$/.test(text)) throw bad(`${JSON.stringify(text)} is not a threshold`);
  return Number(text);
}

function bad(message: string): AuditError {
  return new AuditError('malformed', message);
}

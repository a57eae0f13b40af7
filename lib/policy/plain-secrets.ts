/**
 * Secrets in plain sight: passwords, keys and tokens that are written out in a policy or in a file that it brings along.
 * Whoever can read the repository, a release or a blob has them then. Known shapes are certain enough to be errors;
 * what merely looks random, or stands where a password belongs, is a warning. The secret itself is never repeated.
 */
import type { Place } from './problem.ts';

export type PlainSecret = {
  readonly place: Place;
  readonly what: string;
  /** A shape that nothing else has. */
  readonly isCertain: boolean;
};

const maxFindings = 20;
/** Far beyond any line that a person writes; minified files and data are not searched for random-looking words. */
const maxLineChars = 2_000;
const maxScannedBytes = 1024 * 1024;

type Shape = { readonly what: string; readonly pattern: RegExp };

/** Token shapes as their makers document them; each begins or is built like nothing else. */
const shapes: readonly Shape[] = [
  { what: 'a private key', pattern: /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----/ },
  { what: 'an AWS access key', pattern: /\b(?:AKIA|ASIA)(?!IOSFODNN7EXAMPLE)[0-9A-Z]{16}\b/ },
  { what: 'a GitHub token', pattern: /\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{36,})/ },
  { what: 'a GitLab token', pattern: /\bgl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|soat)-[A-Za-z0-9_-]{20,}/ },
  { what: 'a Slack token', pattern: /\bxox[abeoprs]-[A-Za-z0-9-]{10,}/ },
  { what: 'a Slack webhook', pattern: /hooks\.slack\.com\/(?:services|workflows)\/[A-Za-z0-9/]{20,}/ },
  { what: 'a Stripe key', pattern: /\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}/ },
  { what: 'a Google API key', pattern: /\bAIza[A-Za-z0-9_-]{35}/ },
  { what: 'a Google OAuth secret', pattern: /\bGOCSPX-[A-Za-z0-9_-]{28}/ },
  { what: 'an npm token', pattern: /\bnpm_[A-Za-z0-9]{36}/ },
  { what: 'a PyPI token', pattern: /\bpypi-[A-Za-z0-9_-]{50,}/ },
  { what: 'a SendGrid key', pattern: /\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{32,}/ },
  { what: 'a DigitalOcean token', pattern: /\bdo[opr]_v1_[0-9a-f]{64}/ },
  { what: 'a Hashicorp Vault token', pattern: /\bhv[sbr]\.[A-Za-z0-9_-]{24,}/ },
  { what: 'an Anthropic or OpenAI key', pattern: /\bsk-(?:ant-|proj-)[A-Za-z0-9_-]{20,}/ },
  { what: 'an Azure storage key', pattern: /\bAccountKey=[A-Za-z0-9+/]{80,}={0,2}/ },
  { what: 'a JSON Web Token', pattern: /\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}/ },
  { what: 'an enrollment token of this product', pattern: /\bhfe_[A-Za-z0-9_-]{43}\.[A-Za-z0-9_-]{43}/ },
  { what: 'an API token of this product', pattern: /\bhf[a-z]{1,2}_[A-Za-z0-9_-]{43}\b/ },
  { what: 'an age secret key', pattern: /\bAGE-SECRET-KEY-1[0-9A-Z]{58}/ },
  {
    what: 'a password in a URL',
    pattern: /\b[a-z][a-z0-9+.-]{1,20}:\/\/[^\s:/@{}<$]+:(?!\*+@)[^\s:/@{}<$]{3,}@[^\s/]/i,
  },
];

/** `password: …`, `db_password = "…"`, `API_KEY=…`. */
const assignment =
  /(?:^|[\s"'{,_.-])(?:passw(?:or)?d|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|client[_-]?secret|credentials?)["']?\s*(?:[:=]|=>)\s*["']?([^\s"',}]{6,})/gi;
/** Not a secret but where one comes from, or stands for one. */
const stand = /^(?:secret:|\{|\$|<|%|\/|~|\.\/|\*+$|x+$|!vault|env[:(]|file:|true$|false$|null$|none$)/i;
const wordLike = /[A-Za-z0-9+/_=-]{24,}/g;

/** What stands in plain sight in a text, at most some of it: one is enough to act on. */
export function findPlainSecrets(bytes: Uint8Array, file: string): readonly PlainSecret[] {
  if (bytes.length > maxScannedBytes || bytes.includes(0)) return [];
  const found: PlainSecret[] = [];
  let block: 'certificate' | undefined;
  for (const [i, line] of new TextDecoder().decode(bytes).split('\n').entries()) {
    if (/-----BEGIN (?:[A-Z0-9]+ )*(?:CERTIFICATE|PUBLIC KEY|CERTIFICATE REQUEST)/.test(line)) block = 'certificate';
    const finding = block === undefined ? findInLine(line) : undefined;
    if (/-----END /.test(line)) block = undefined;
    if (finding === undefined) continue;
    found.push({ ...finding, place: { file, line: i + 1, column: finding.at + 1 } });
    if (found.length >= maxFindings) break;
  }
  return found;
}

type Finding = { readonly what: string; readonly isCertain: boolean; readonly at: number };

function findInLine(line: string): Finding | undefined {
  if (line.length > maxLineChars * 10) return undefined;
  for (const { what, pattern } of shapes) {
    const match = pattern.exec(line);
    if (match !== null) return { what, isCertain: true, at: match.index };
  }
  if (line.length > maxLineChars || /^\s*(?:#|\/\/|;)/.test(line)) return undefined;
  for (const match of line.matchAll(assignment)) {
    const [all, value = ''] = match;
    // `secret:db/password`: the reference that should be there.
    if (/secret:[a-z0-9]/.test(all)) continue;
    // A hash is no password, though worth keeping to oneself: users have them by right.
    if (stand.test(value) || /^\$(?:[1256y]|2[aby]|argon2)/.test(value)) continue;
    return { what: 'what looks like a password or key', isCertain: false, at: match.index + all.indexOf(value) };
  }
  for (const match of line.matchAll(wordLike)) {
    if (isRandom(match[0], line)) return { what: 'a random-looking word', isCertain: false, at: match.index };
  }
  return undefined;
}

/** Bits a character (Shannon) above which a word of mixed kinds is no word of a language, path or name. */
const minEntropyBits = 4.3;

function isRandom(word: string, line: string): boolean {
  // Digests are what integrity is made of, and public keys are public.
  if (/^[0-9a-f]+$/i.test(word) || /\b(?:ssh-|ecdsa-|sk-ssh-|sha\d*[-:=]|sha\d+\b)/i.test(line)) return false;
  const kinds = [/[a-z]/, /[A-Z]/, /[0-9]/].filter((kind) => kind.test(word)).length;
  return kinds === 3 && !/[/_-].*[/_-].*[/_-]/.test(word) && entropyOf(word) >= minEntropyBits;
}

function entropyOf(word: string): number {
  const counts = new Map<string, number>();
  for (const character of word) counts.set(character, (counts.get(character) ?? 0) + 1);
  return [...counts.values()].reduce((bits, count) => bits - (count / word.length) * Math.log2(count / word.length), 0);
}

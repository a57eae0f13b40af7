/**
 * The command that brings the agent to a machine and joins it, as text that people paste into a shell. Everything that
 * decides what runs is in the text itself: the digest of the program, its signed manifest, and, in the token, the pin of
 * the fleet. Whoever answers the download can only fail it.
 */
import { CliError } from './errors.ts';

export type InstallParts = {
  /** Where the program is. */
  readonly url: string;
  /** Of the program, hexadecimal. */
  readonly sha256: string;
  /** The signed manifest, base64. */
  readonly manifest: string;
  /** The identity service. */
  readonly server: string;
  readonly token: string;
};

/**
 * What may stand in the command. An allow-list, and every value is in single quotes besides: no value can end its
 * quotes, begin an option, or be taken for anything else (Teleport CVE-2022-36633).
 */
const allowed: { readonly [Name in keyof InstallParts]: RegExp } = {
  url: /^https:\/\/[A-Za-z0-9][A-Za-z0-9.-]{0,252}(?::[0-9]{1,5})?(?:\/[A-Za-z0-9._~/-]{0,400})?$/,
  sha256: /^[0-9a-f]{64}$/,
  manifest: /^[A-Za-z0-9+/]{16,8192}={0,2}$/,
  server: /^https:\/\/[A-Za-z0-9][A-Za-z0-9.-]{0,252}(?::[0-9]{1,5})?\/?$/,
  token: /^hfe_[A-Za-z0-9_-]{43}\.[A-Za-z0-9_-]{43}$/,
};

const stateDirectory = '/var/lib/holdfast-agent';

/** One line for a root shell, and two lines that do the same step by step. Throws `CliError`. */
export function formatInstallCommands(parts: InstallParts): {
  readonly oneLine: string;
  readonly twoLines: readonly [string, string];
} {
  for (const name of Object.keys(allowed) as (keyof InstallParts)[]) {
    // `$` of a regular expression stops at nothing but the end here, because none has the flag m; newlines are in no class.
    if (typeof parts[name] !== 'string' || !allowed[name].test(parts[name])) {
      throw new CliError(
        'usage',
        `${JSON.stringify(String(parts[name]).slice(0, 80))} can not stand in an install command`,
        {
          hint: `${name}: only what ${allowed[name].source} allows`,
        },
      );
    }
  }
  const { url, sha256, manifest, server, token } = parts;
  const fetch = `curl --proto '=https' --tlsv1.2 -fsS '${url}'`;
  const join = `join --server '${server}' --token '${token}' --state ${stateDirectory}`;
  const check = (file: string) => `echo '${sha256}  '${file} | sha256sum -c - >/dev/null`;
  const note = (file: string) => `printf %s '${manifest}' | base64 -d >${file}`;
  // What curl brings is data until its digest is right; the script that looks is the line itself.
  const script = [
    'set -eu',
    'umask 077',
    'd=$(mktemp -d)',
    'trap \'rm -rf "$d"\' EXIT',
    'f="$d/holdfast-agent"',
    'cat >"$f"',
    check('"$f"'),
    note('"$f.manifest"'),
    'chmod 700 "$f"',
    `"$f" ${join}`,
    '"$f" install',
  ].join('; ');
  return {
    oneLine: `${fetch} | sh -c ${quote(script)}`,
    twoLines: [
      `${fetch} -o holdfast-agent && ${check('holdfast-agent')} && ${note('holdfast-agent.manifest')} && chmod 700 holdfast-agent`,
      `sudo ./holdfast-agent ${join} && sudo ./holdfast-agent install`,
    ],
  };
}

/** As POSIX shells read single quotes: nothing in them is special, and they can't hold themselves. */
function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

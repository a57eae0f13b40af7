/** A destination's configuration from the command line: options become fields, and slips are said before anything is sent. */
import { readFile } from 'node:fs/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { type DestinationConfig, destinationConfig, mappings, redactions } from '../../lib/siem/config.ts';
import { collect } from '../command.ts';
import { CliError } from '../errors.ts';

export type ConfigOptions = {
  readonly set?: readonly string[];
  readonly unset?: readonly string[];
  readonly mapping?: string;
  readonly redaction?: string;
  readonly include?: readonly string[];
  readonly exclude?: readonly string[];
  readonly allow?: readonly string[];
  readonly pin?: readonly string[];
  readonly ca?: string;
  readonly clientCertificate?: string;
};

/** The options that `add` and `update` share. */
export function withConfigOptions(command: Command): Command {
  return command
    .option('--set <field=value>', 'a field of this kind, as url=https://…; repeatable', collect)
    .option('--mapping <name>', `how events look: ${mappings.join(', ')}`)
    .option('--redaction <name>', redactions.join(', '))
    .option('--include <operation>', 'only these, as node.enroll or node.*; repeatable', collect)
    .option('--exclude <operation>', 'not these; repeatable', collect)
    .option('--allow <network>', 'a private network that the receiver may be in, as 10.20.0.0/16; repeatable', collect)
    .option(
      '--pin <base64>',
      "SHA-256 of the public key of the receiver's certificate or authority; twice at most",
      collect,
    )
    .option('--ca <file>', 'the only authorities that may vouch for the receiver, PEM')
    .option(
      '--client-certificate <file>',
      'for mutual TLS (syslog), PEM; its key is a secret reference: --set clientKey=…',
    );
}

/** What was given, on top of what was there before. Throws `CliError` `usage` with the place of a slip. */
export async function buildConfig(
  base: { readonly name: string; readonly kind: string } | DestinationConfig,
  options: ConfigOptions,
): Promise<DestinationConfig> {
  const fields: Record<string, unknown> = { ...base };
  for (const name of options.unset ?? []) delete fields[name];
  for (const each of options.set ?? []) {
    const [name, value] = parseField(each);
    fields[name] = value;
  }
  if (options.mapping !== undefined) fields['mapping'] = options.mapping;
  if (options.redaction !== undefined) fields['redaction'] = options.redaction;
  if (options.include !== undefined || options.exclude !== undefined)
    fields['filter'] = {
      ...(options.include !== undefined && { include: options.include }),
      exclude: options.exclude ?? [],
    };
  const { allow, pin: pins, ca } = options;
  if (allow !== undefined || pins !== undefined || ca !== undefined)
    fields['network'] = {
      ...(fields['network'] as object | undefined),
      ...(allow !== undefined && { allow }),
      ...(pins !== undefined && { pins }),
      ...(ca !== undefined && { ca: await readPem(ca) }),
    };
  if (options.clientCertificate !== undefined) fields['clientCertificate'] = await readPem(options.clientCertificate);
  const parsed = destinationConfig.safeParse(fields);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new CliError('usage', `${issue?.path.join('.') || 'the configuration'}: ${issue?.message ?? 'not valid'}`, {
    hint: 'the fields of each kind stand in docs/siem.md',
    cause: parsed.error,
  });
}

/** Numbers, flags and lists are told by their names, so that a name of digits stays text. */
function parseField(text: string): readonly [string, unknown] {
  const at = text.indexOf('=');
  const name = text.slice(0, at);
  if (at <= 0 || name === 'name' || name === 'kind')
    throw new CliError('usage', `--set takes FIELD=VALUE, not ${JSON.stringify(text)}`);
  const value = text.slice(at + 1);
  switch (name) {
    case 'port':
    case 'facility':
      return [name, /^[0-9]{1,5}$/.test(value) ? Number(value) : value];
    case 'acknowledge':
      return [name, value === 'true' ? true : value === 'false' ? false : value];
    case 'tags':
      return [name, value.split(',')];
    default:
      return [name, value];
  }
}

async function readPem(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new CliError('usage', `can't read ${path}`, { cause });
  }
}

/** A sequence, or an end of the log. */
export function parseStart(text: string): 'oldest' | 'newest' | number {
  return text === 'oldest' || text === 'newest' ? text : parseSequence(text);
}

export function parseSequence(text: string): number {
  if (!/^(0|[1-9][0-9]{0,14})$/.test(text)) throw new InvalidArgumentError('a sequence is a number from 0');
  return Number(text);
}

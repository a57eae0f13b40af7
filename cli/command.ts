/** What the verbs share: their options, a client for the time of one command, and printing as text or JSON. */
import { type Command, InvalidArgumentError } from 'commander';
import { type Client, connect, openClient } from './client.ts';
import { CliError } from './errors.ts';
import { type Profile, readProfiles } from './profiles.ts';
import type { Terminal } from './terminal.ts';

export type GlobalOptions = {
  readonly state: string;
  readonly json: boolean;
  /** Where profiles are kept. */
  readonly config?: string;
  readonly profile?: string;
};

/** The program's own options, wherever on the line they stood. */
export function globalsOf(command: Command): GlobalOptions {
  return command.optsWithGlobals<GlobalOptions>();
}

/** Opens a client, and closes it whatever happens. */
export async function withClient<T>(command: Command, act: (client: Client) => Promise<T>): Promise<T> {
  const client = await clientFor(command);
  try {
    return await act(client);
  } finally {
    client.close();
  }
}

/** As whom: the profile that is named, else local-admin where a state directory is named, else whoever is logged in. */
async function clientFor(command: Command): Promise<Client> {
  const { state } = globalsOf(command);
  const profile = await profileFor(command);
  if (profile === undefined) return openClient(state);
  return connect({ ...profile, remedy: 'log in again: holdfast login' });
}

/** None: the command speaks as local-admin. Throws `CliError` when a profile is named that is not there. */
export async function profileFor(command: Command): Promise<(Profile & { readonly name: string }) | undefined> {
  const { config, profile: named } = globalsOf(command);
  const isStateNamed = command.getOptionValueSourceWithGlobals('state') !== 'default';
  if (config === undefined || (named === undefined && isStateNamed)) return undefined;
  const { current, profiles } = await readProfiles(config);
  const name = named ?? current;
  const held = name === undefined ? undefined : profiles[name];
  if (held === undefined && named !== undefined)
    throw new CliError('usage', `there is no profile ${JSON.stringify(named)}`, {
      hint: 'make it with: holdfast login --profile NAME',
    });
  return held === undefined || name === undefined ? undefined : { ...held, name };
}

/** JSON when asked for, otherwise the lines. */
export function print(terminal: Terminal, command: Command, data: unknown, lines: () => readonly string[]): void {
  if (globalsOf(command).json) terminal.out(`${JSON.stringify(data, undefined, 2)}\n`);
  else for (const line of lines()) terminal.out(`${line}\n`);
}

/** Adds one `name=value` to those given before. */
export function collectLabel(text: string, labels: Record<string, string> = {}): Record<string, string> {
  const at = text.indexOf('=');
  if (at <= 0) throw new InvalidArgumentError('a label is NAME=VALUE');
  const name = text.slice(0, at);
  if (Object.hasOwn(labels, name)) throw new InvalidArgumentError(`the label ${name} is given twice`);
  return { ...labels, [name]: text.slice(at + 1) };
}

/** Adds one value to those given before. */
export function collect(text: string, values: readonly string[] = []): readonly string[] {
  return [...values, text];
}

const units: { readonly [unit: string]: number } = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A duration such as `90s`, `30m`, `24h` or `7d`, in milliseconds. */
export function parseDuration(text: string): number {
  const match = /^([1-9][0-9]{0,6})([smhd])$/.exec(text);
  const unit = units[match?.[2] ?? ''];
  if (match === null || unit === undefined) throw new InvalidArgumentError('a duration is a number and s, m, h or d');
  return Number(match[1]) * unit;
}

/** A count from 1. */
export function parseCount(text: string): number {
  if (!/^[1-9][0-9]{0,8}$/.test(text)) throw new InvalidArgumentError('not a number from 1');
  return Number(text);
}

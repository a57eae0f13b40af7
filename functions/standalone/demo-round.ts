/** What the steps of the demonstration share: the product's commands, run and judged. */
import { join } from 'node:path';
import { z } from 'zod';
import type { Standalone } from './compose.ts';
import type { Commands, Program, Ran } from './demo-commands.ts';
import { type DemoReport, prove } from './demo-report.ts';
import { readWhole } from './files.ts';

/** What every step has at hand. */
export type Round = {
  readonly server: Standalone;
  /** The operator's private key file. */
  readonly keyFile: string;
  readonly report: DemoReport;
  readonly commands: Commands;
};

const mintedJson = z.object({ token: z.string(), id: z.string(), expires: z.string() });

export async function mint(round: Round) {
  const args = [
    'token',
    'create',
    '--label',
    'role=demo',
    '--ttl',
    '10m',
    '--state',
    round.server.paths.root,
    '--json',
  ];
  return mintedJson.parse(JSON.parse((await succeed(round, 'holdfast', args)).out));
}

export async function joinFleet(round: Round, token: string, state: string, hostname: string): Promise<void> {
  const ran = await tryJoin(round, token, state, hostname);
  prove(ran.code === 0, `joining ended with ${ran.code}: ${errorLine(ran)}`);
}

export function tryJoin(round: Round, token: string, state: string, hostname: string): Promise<Ran> {
  return round.commands.run('holdfast-agent', [
    ...['join', '--server', round.server.url, '--token', token],
    ...['--state', state, '--hostname', hostname],
  ]);
}

export async function readNodeUuid(state: string): Promise<string | undefined> {
  const bytes = await readWhole(join(state, 'node.json'));
  return bytes && z.object({ uuid: z.string() }).parse(JSON.parse(Buffer.from(bytes).toString('utf8'))).uuid;
}

export async function succeed({ commands }: Round, program: Program, args: readonly string[]): Promise<Ran> {
  const ran = await commands.run(program, args);
  prove(ran.code === 0, `\`${program} ${args.slice(0, 2).join(' ')}\` ended with ${ran.code}: ${errorLine(ran)}`);
  return ran;
}

export function errorLine({ err, out }: Ran): string {
  const lines = err.split('\n').filter((line) => line !== '' && !line.startsWith('{'));
  return lines.find((line) => line.startsWith('error:')) ?? lines.at(-1) ?? lastLine(out);
}

export function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}

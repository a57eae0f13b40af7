/** `holdfast artifact`: builds of the agent, and which nodes run which. */
import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import type { BuildView, RingView } from '../../functions/admin/routes/artifacts.ts';
import { partBytes } from '../../lib/artifacts/builds.ts';
import { sha256Hex } from '../../lib/crypto/digest.ts';
import { toBase64url } from '../../lib/crypto/encoding.ts';
import { allItems, type Client } from '../client.ts';
import { collectLabel, globalsOf, parseCount, print, withClient } from '../command.ts';
import { formatTable } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import { installCommandCommand } from './artifact-install.ts';

export function artifactCommand(terminal: Terminal): Command {
  const artifact = new Command('artifact').description('publish builds of the agent, and roll them out ring by ring');
  artifact.addCommand(trustCommand(terminal));
  artifact.addCommand(publishCommand(terminal));
  artifact.addCommand(listCommand(terminal));
  artifact.addCommand(rolloutCommand(terminal));
  artifact.addCommand(showCommand(terminal));
  artifact.addCommand(haltCommand(terminal));
  artifact.addCommand(pauseCommand(terminal));
  artifact.addCommand(resumeCommand(terminal));
  artifact.addCommand(installCommandCommand(terminal));
  return artifact;
}

function trustCommand(terminal: Terminal): Command {
  return new Command('trust')
    .description('say whose builds may be published: once, and then by a list that the keys before have signed')
    .argument('<file>', 'the list of artifact keys')
    .addHelpText(
      'after',
      '\nNodes have their own list, compiled in: this one decides what is offered, never what a node runs.' +
        '\n\nExample:\n  holdfast artifact trust artifact-keys\n',
    )
    .action(async (file: string, _options: object, command: Command) => {
      const list = await readFile(file, 'utf8');
      const keys = await withClient(command, (client) =>
        client.post<{ number: number; threshold: number; keys: readonly string[] }>('/v1/artifacts/keys', { list }),
      );
      print(terminal, command, keys, () => [`list ${keys.number}: ${keys.threshold} of ${keys.keys.length} keys`]);
    });
}

function publishCommand(terminal: Terminal): Command {
  return new Command('publish')
    .description('upload a signed build of the agent; no node gets it before it is rolled out')
    .argument('<program>', 'the file holdfast-agent')
    .requiredOption('--manifest <file>', 'its signed manifest')
    .addHelpText(
      'after',
      '\nExample:\n  holdfast artifact publish dist/agent/holdfast-agent --manifest dist/agent/holdfast-agent.manifest\n',
    )
    .action(async (file: string, options: { manifest: string }, command: Command) => {
      const [program, manifest] = await Promise.all([readFile(file), readFile(options.manifest)]);
      const build = await withClient(command, async (client) => {
        const parts = await uploadParts(client, program);
        return client.post<BuildView>('/v1/artifacts', { manifest: toBase64url(manifest), parts });
      });
      print(terminal, command, build, () => [`${build.version} ${build.platform} ${build.sha256}`]);
      if (!globalsOf(command).json)
        terminal.err(`published; roll it out with: holdfast artifact rollout ${build.version} --ring canary\n`);
    });
}

async function uploadParts(client: Client, program: Uint8Array): Promise<readonly string[]> {
  const parts: string[] = [];
  for (let at = 0; at < program.length; at += partBytes) {
    const part = program.subarray(at, at + partBytes);
    const digest = sha256Hex(part);
    await client.put(`/v1/artifacts/parts/${digest}`, part);
    parts.push(digest);
  }
  return parts;
}

function listCommand(terminal: Terminal): Command {
  return new Command('list')
    .description('the published builds, newest first')
    .addHelpText('after', '\nExample:\n  holdfast artifact list\n')
    .action(async (_options: object, command: Command) => {
      const builds = await withClient(command, (client) =>
        Array.fromAsync(allItems<BuildView>(client, '/v1/artifacts')),
      );
      print(terminal, command, builds, () =>
        formatTable(
          [
            { title: 'version', cell: (row: BuildView) => row.version, whole: true },
            { title: 'platform', cell: (row) => row.platform, whole: true },
            { title: 'bytes', cell: (row) => String(row.size) },
            { title: 'published', cell: (row) => row.published },
            { title: 'expires', cell: (row) => row.expires },
            { title: 'sha-256', cell: (row) => row.sha256 },
          ],
          builds,
          terminal.width,
        ),
      );
    });
}

type RolloutOptions = {
  readonly ring: string;
  readonly label?: Record<string, string>;
  readonly percent?: number;
  readonly maxFailed?: number;
};

function rolloutCommand(terminal: Terminal): Command {
  return new Command('rollout')
    .description('give a ring a build; a ring that is not there yet is made, after the others')
    .argument('<version>', 'a published version, or n-1: one behind the newest, from now on')
    .requiredOption('--ring <name>', 'the ring')
    .option('--label <name=value>', 'which nodes are in it, by enrolled label; repeatable (default: all)', collectLabel)
    .option('--percent <n>', 'the share of them (default 100)', parseCount)
    .option('--max-failed <n>', 'halts by itself when so many percent of its nodes failed (default 20)', parseCount)
    .addHelpText(
      'after',
      '\nA node is in the first ring that it fits. Nothing older than what ever ran on a node is taken by it.' +
        '\n\nExamples:\n  holdfast artifact rollout 1.4.0 --ring canary --label ring=canary\n' +
        '  holdfast artifact rollout 1.4.0 --ring early --percent 10\n' +
        '  holdfast artifact rollout n-1 --ring stable\n',
    )
    .action(async (version: string, options: RolloutOptions, command: Command) => {
      const { ring, label: labels, percent, maxFailed: maxFailedPercent } = options;
      await order(terminal, command, ring, 'rollout', {
        version,
        ...(labels === undefined ? {} : { labels }),
        ...(percent === undefined ? {} : { percent }),
        ...(maxFailedPercent === undefined ? {} : { maxFailedPercent }),
      });
    });
}

function showCommand(terminal: Terminal): Command {
  return new Command('show')
    .description('the rings, and how far each is')
    .addHelpText('after', '\nExample:\n  holdfast artifact show\n')
    .action(async (_options: object, command: Command) => {
      const rings = await withClient(command, (client) => Array.fromAsync(allItems<RingView>(client, '/v1/rings')));
      print(terminal, command, rings, () => ringTable(rings, terminal));
    });
}

function haltCommand(terminal: Terminal): Command {
  return new Command('halt')
    .description('offer a ring nothing more, for a reason; what a node took already is its own to finish')
    .argument('<ring>', 'its name')
    .option('--reason <text>', 'why, for whoever looks next')
    .addHelpText('after', '\nExample:\n  holdfast artifact halt early --reason "see incident 12"\n')
    .action(async (ring: string, options: { reason?: string }, command: Command) => {
      const body = options.reason === undefined ? {} : { reason: options.reason };
      await order(terminal, command, ring, 'halt', body);
    });
}

function pauseCommand(terminal: Terminal): Command {
  return new Command('pause')
    .description('offer a ring nothing more until it is resumed; nothing is wrong with the build')
    .argument('<ring>', 'its name')
    .addHelpText(
      'after',
      '\nWhat a node took already is its own to finish, and counts. A ring that is paused stays so.' +
        '\n\nExamples:\n  holdfast artifact pause early      # over the weekend\n  holdfast artifact resume early\n',
    )
    .action((ring: string, _options: object, command: Command) => order(terminal, command, ring, 'pause', {}));
}

function resumeCommand(terminal: Terminal): Command {
  return new Command('resume')
    .description('offer a ring its build again')
    .argument('<ring>', 'its name')
    .addHelpText(
      'after',
      '\nA paused ring goes on where it was. A halted one begins a new rollout: nodes that failed try once more, and are' +
        '\ncounted anew. One that is neither stays as it is.' +
        '\n\nExample:\n  holdfast artifact resume early\n',
    )
    .action((ring: string, _options: object, command: Command) => order(terminal, command, ring, 'resume', {}));
}

async function order(terminal: Terminal, command: Command, ring: string, verb: string, body: object): Promise<void> {
  const view = await withClient(command, (client) =>
    client.post<RingView>(`/v1/rings/${encodeURIComponent(ring)}/${verb}`, body),
  );
  print(terminal, command, view, () => ringTable([view], terminal));
}

function ringTable(rings: readonly RingView[], terminal: Terminal): readonly string[] {
  return formatTable(
    [
      { title: 'ring', cell: (row: RingView) => row.ring, whole: true },
      { title: 'version', cell: (row) => (row.pin === 'none' ? row.version : `${row.version} (n-1)`), whole: true },
      { title: 'state', cell: (row) => (row.reason === '' ? row.state : `${row.state}: ${row.reason}`) },
      { title: 'nodes', cell: (row) => String(row.nodes) },
      { title: 'updated', cell: (row) => String(row.updated) },
      { title: 'failed', cell: (row) => String(row.failed) },
      { title: 'of them silent', cell: (row) => String(row.silent) },
      { title: 'not possible', cell: (row) => String(row.notPossible) },
      { title: 'share', cell: (row) => `${row.percent} %` },
      {
        title: 'labels',
        cell: (row) =>
          Object.entries(row.labels)
            .map(([name, value]) => `${name}=${value}`)
            .join(','),
      },
    ],
    rings,
    terminal.width,
  );
}

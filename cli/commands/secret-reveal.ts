/**
 * `holdfast secret reveal`: asks for a value, waits until another administrator agrees, and shows it once. The key that it
 * is sealed to is made here and never leaves this process; so nothing on the way, the server's log included, has the value.
 */
import { generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { Command, InvalidArgumentError } from 'commander';
import type { RevealedView, RevealView } from '../../functions/admin/routes/secret-reveals.ts';
import { fromBase64url, fromUtf8, toBase64url } from '../../lib/crypto/encoding.ts';
import { formatReference } from '../../lib/secrets/reference.ts';
import { openRevealed } from '../../lib/secrets/reveal.ts';
import { allItems, type Client } from '../client.ts';
import { print, withClient } from '../command.ts';
import { CliError } from '../errors.ts';
import { formatTable } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import { parsePath, secretUrl } from './secret-path.ts';

const pollMs = 1_000;

export function revealCommand(terminal: Terminal): Command {
  return new Command('reveal')
    .description('show a value once, when another administrator agrees; only where the configuration enables it')
    .argument('<path>', 'the secret, such as db/password', parsePath)
    .requiredOption('--reason <text>', 'why: for the other administrator, and for the audit log')
    .option('--out <file>', 'write the value to a new file (0600) instead of showing it')
    .addHelpText(
      'after',
      '\nBoth are people who logged in: an API token or local-admin is neither of them.\n' +
        '\nExamples:\n  holdfast secret reveal db/password --reason "the replica is down"\n' +
        '  holdfast secret reveal tls/key --reason "moving to the new host" --out server.key\n',
    )
    .action(async (path: string, options: { reason: string; out?: string }, command: Command) => {
      const { publicKey, privateKey } = generateKeyPairSync('x25519');
      const key = toBase64url(publicKey.export({ format: 'der', type: 'spki' }).subarray(-32));
      const value = await withClient(command, async (client) => {
        const asked = await client.post<RevealView>(`${secretUrl(path)}/reveal`, { reason: options.reason, key });
        terminal.err(`asked; another administrator agrees with: holdfast secret approve-reveal ${asked.id}\n`);
        await agreed(client, asked, () => terminal.stopped());
        const taken = await client.post<RevealedView>(`/v1/secret-reveals/${asked.id}/take`, {});
        const sealed = { enc: fromBase64url(taken.enc), ciphertext: fromBase64url(taken.ciphertext) };
        return openRevealed(privateKey, asked.id, { path, version: taken.version, sealed });
      });
      try {
        await show(terminal, value, options.out);
      } finally {
        value.fill(0);
      }
    });
}

/** Waits for the other administrator, for as long as the request lives. */
async function agreed(client: Client, { id, path, expires }: RevealView, stopped: () => Promise<void>): Promise<void> {
  const stop = stopped().then(() => {
    throw new CliError('refused', 'stopped before anybody agreed; the request expires by itself');
  });
  stop.catch(() => undefined);
  for (;;) {
    const held = await Array.fromAsync(allItems<RevealView>(client, '/v1/secret-reveals'));
    const mine = held.find((each) => each.id === id);
    if (mine?.state === 'approved') return;
    if (mine?.state !== 'open') {
      throw new CliError('refused', `nobody agreed to reveal ${formatReference(path)} until ${expires}`, {
        hint: 'ask again when another administrator is there',
      });
    }
    await Promise.race([delay(pollMs), stop]);
  }
}

async function show(terminal: Terminal, value: Uint8Array, out: string | undefined): Promise<void> {
  if (out !== undefined) {
    // Never over a file that is there, whose mode and links are somebody else's choice.
    await writeFile(out, value, { mode: 0o600, flag: 'wx' }).catch((cause: NodeJS.ErrnoException) => {
      throw new CliError('usage', `can't write ${out} (${cause.code}); the request is used up`, {
        hint: 'name a file that does not exist yet, and ask again',
        cause,
      });
    });
    return;
  }
  let text: string;
  try {
    text = fromUtf8(value);
  } catch {
    throw new CliError('usage', 'the value is not text, so it is not shown; the request is used up', {
      hint: 'ask again with --out FILE',
    });
  }
  terminal.out(text.endsWith('\n') ? text : `${text}\n`);
}

export function approveRevealCommand(terminal: Terminal): Command {
  return new Command('approve-reveal')
    .description('agree that another administrator sees a value once')
    .argument('<id>', 'the request', parseId)
    .addHelpText('after', '\nExample:\n  holdfast secret approve-reveal 0123456789abcdef\n')
    .action(async (id: string, _options: object, command: Command) => {
      const made = await withClient(command, (client) =>
        client.post<RevealView>(`/v1/secret-reveals/${id}/approve`, {}),
      );
      print(terminal, command, made, () => [`${made.askedBy} may see ${formatReference(made.path)} once`]);
    });
}

export function revealsCommand(terminal: Terminal): Command {
  return new Command('reveals')
    .description('list who asks to see which value, and why')
    .addHelpText('after', '\nExample:\n  holdfast secret reveals\n')
    .action(async (_options: object, command: Command) => {
      const held = await withClient(command, (client) =>
        Array.fromAsync(allItems<RevealView>(client, '/v1/secret-reveals')),
      );
      print(terminal, command, held, () =>
        formatTable(
          [
            { title: 'id', cell: (row: RevealView) => row.id, whole: true },
            { title: 'secret', cell: (row) => row.path },
            { title: 'asked by', cell: (row) => row.askedBy },
            { title: 'state', cell: (row) => row.state },
            { title: 'until', cell: (row) => row.expires },
            { title: 'why', cell: (row) => row.reason },
          ],
          held,
          terminal.width,
        ),
      );
    });
}

function parseId(text: string): string {
  if (/^[0-9a-f]{16}$/.test(text)) return text;
  throw new InvalidArgumentError('the id of a request has 16 hexadecimal digits');
}

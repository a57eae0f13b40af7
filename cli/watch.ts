/** `--watch`: shows something again whenever it has changed, until the process is told to stop. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import type { Client } from './client.ts';
import { globalsOf, print, withClient } from './command.ts';
import type { Terminal } from './terminal.ts';

export const watchOption = ['-w, --watch', 'show it again whenever it changes, until Ctrl-C'] as const;

/** What a verb shows: `data` for `--json`, lines for people. */
export type Shown = { readonly data: unknown; readonly lines: () => readonly string[] };

/** What no event tells of is seen after this time at the latest. */
const lookMs = 5_000;
/** Many events in a row are one look. */
const restMs = 1_000;

/** Prints what `read` gives, once; or under `--watch` each time that it differs, as one line of JSON or as text. */
export function show(
  terminal: Terminal,
  command: Command,
  { watch = false }: { readonly watch?: boolean },
  read: (client: Client) => Promise<Shown>,
): Promise<void> {
  return withClient(command, async (client) => {
    if (!watch) {
      const { data, lines } = await read(client);
      return print(terminal, command, data, lines);
    }
    const stop = new AbortController();
    void terminal.stopped().then(() => stop.abort());
    let before = false;
    await watchFor({
      signal: stop.signal,
      read: () => read(client),
      wait: async (signal) => {
        await client.nextEvent(lookMs, signal);
        await (terminal.pause?.(restMs) ?? delay(restMs, undefined, { signal }));
      },
      show({ data, lines }) {
        if (globalsOf(command).json) terminal.out(`${JSON.stringify(data)}\n`);
        else
          terminal.out(
            `${before ? '\n' : ''}${lines()
              .map((line) => `${line}\n`)
              .join('')}`,
          );
        before = true;
      },
    });
  });
}

/** Until the signal: reads, shows what is not as it was, waits. What fails ends it, unless it was told to stop. */
export async function watchFor(watch: {
  readonly signal: AbortSignal;
  read(): Promise<Shown>;
  /** For the next occasion to look. */
  wait(signal: AbortSignal): Promise<unknown>;
  show(shown: Shown): void;
}): Promise<void> {
  const { signal } = watch;
  const stopped = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
  const follow = async () => {
    let last: string | undefined;
    while (!signal.aborted) {
      const shown = await watch.read();
      const text = JSON.stringify(shown.data);
      if (!signal.aborted && text !== last) watch.show(shown);
      last = text;
      await watch.wait(signal);
    }
  };
  // Whatever is under way then is left alone: the client is closed behind it.
  await Promise.race([stopped, follow()]);
}

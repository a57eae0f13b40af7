/** Progress on one line of a terminal; nothing at all where nobody looks. */
import type { Terminal } from './terminal.ts';

export type Progress = {
  show(progress: { readonly done: number; readonly size: number }): void;
  /** Clears the line. */
  end(): void;
};

const stepMs = 100;

export function createProgress(terminal: Terminal, unit: string): Progress {
  if (!terminal.interactive) return { show: () => undefined, end: () => undefined };
  let shownAt = Date.now();
  let shown = false;
  return {
    show({ done, size }) {
      if (Date.now() - shownAt < stepMs) return;
      shownAt = Date.now();
      shown = true;
      const percent = size === 0 ? 100 : Math.floor((done / size) * 100);
      terminal.err(`\r\x1b[K${percent} % (${done} of ${size} ${unit})`);
    },
    end: () => {
      if (shown) terminal.err('\r\x1b[K');
    },
  };
}

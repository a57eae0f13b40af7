/** Copies: what `dd` makes of its input. */
import type { Call } from './call.ts';
import { hole, plain } from './marks.ts';
import { contentOf } from './redirect.ts';

/** What `dd` reads, as it writes it. */
export function copiedBy(call: Call): string {
  const texts = call.argv.slice(1).map(plain);
  const file = texts.find((arg) => arg.startsWith('if='))?.slice(3);
  const content = file === undefined ? call.frame.stdin : contentOf(call.frame, file);
  const conversions =
    texts
      .find((arg) => arg.startsWith('conv='))
      ?.slice(5)
      .split(',') ?? [];
  if (content.includes(hole)) return content;
  const cased = conversions.includes('lcase')
    ? content.toLowerCase()
    : conversions.includes('ucase')
      ? content.toUpperCase()
      : content;
  return conversions.includes('swab') ? cased.replace(/([\s\S])([\s\S])/g, '$2$1') : cased;
}

/**
 * Redaction: takes known secret values out of text, in every form of forms.ts, whole or in part. Text is searched for
 * stretches of eight characters that a form has too, white space left aside, so a value is also found when it was cut,
 * wrapped, indented, or prefixed line by line; what is found is widened as far as text and form agree. Works on a stream
 * as on one text: what could be the beginning of a value is held back until it is clear what follows.
 */
import { formsOf } from './forms.ts';

const redacted = '[redacted]';
const windowChars = 8;
/** Places of one form that are indexed; a longer form is indexed at every so-manieth character only. */
const maxWindows = 2048;
const maxCandidates = 4;
/** White space that is held back at most, however much of it stands between two characters of a value. */
const maxHeldChars = 64 * 1024;

export interface RedactedStream {
  /** What is safe to pass on; the rest comes later. */
  push(chunk: Uint8Array): Buffer;
  end(): Buffer;
}

export interface Redactor {
  text(text: string): string;
  bytes(bytes: Uint8Array): Buffer;
  stream(): RedactedStream;
}

type Place = { readonly form: string; readonly at: number };
type Index = {
  readonly windows: ReadonlyMap<string, readonly Place[]>;
  /** Forms that are shorter than a window: found whole or not at all, white space included. */
  readonly short: readonly string[];
  /** Characters of a form, without white space, that are enough to find it. */
  readonly reach: number;
};

/** Made for the values of one run, and dropped with them. */
export function createRedactor(values: readonly Uint8Array[]): Redactor {
  const index = indexOf(values);
  const isEmpty = index.windows.size === 0 && index.short.length === 0;
  const redact = (bytes: Buffer): Buffer => {
    if (isEmpty) return bytes;
    const text = bytes.toString('latin1');
    return Buffer.from(cover(text, maskOf(index, text)), 'latin1');
  };
  return {
    text: (text) => (isEmpty ? text : redact(Buffer.from(text, 'utf8')).toString('utf8')),
    bytes: (bytes) => redact(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)),
    stream: () => redactedStream(index),
  };
}

function redactedStream(index: Index): RedactedStream {
  let held = '';
  let heldMask = new Uint8Array(0);
  let wasCovered = false;

  /** Passes on all but the last characters that a form could still begin or go on in. */
  function take(added: string, keepChars: number): Buffer {
    const text = held + added;
    const mask = maskOf(index, text);
    for (const [i, bit] of heldMask.entries()) mask[i] = (mask[i] ?? 0) | bit;
    const cut = text.length - trailing(text, keepChars);
    const out = cover(text.slice(0, cut), mask.subarray(0, cut), wasCovered);
    if (cut > 0) wasCovered = mask[cut - 1] === 1;
    held = text.slice(cut);
    heldMask = mask.slice(cut);
    return Buffer.from(out, 'latin1');
  }

  return {
    push: (chunk) =>
      take(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString('latin1'), 2 * index.reach),
    end: () => take('', 0),
  };
}

function indexOf(values: readonly Uint8Array[]): Index {
  const windows = new Map<string, Place[]>();
  const short = new Set<string>();
  let reach = windowChars;
  for (const form of new Set(values.flatMap(formsOf))) {
    const dense = form.replace(/[\s\0]+/g, '');
    if (dense.length < windowChars) {
      short.add(form);
      continue;
    }
    const stride = Math.ceil(dense.length / maxWindows);
    reach = Math.max(reach, windowChars + stride);
    for (let at = 0; at + windowChars <= dense.length; at += stride) {
      const key = dense.slice(at, at + windowChars);
      const places = windows.get(key);
      if (places === undefined) windows.set(key, [{ form: dense, at }]);
      else if (places.length < maxCandidates) places.push({ form: dense, at });
    }
  }
  return { windows, short: [...short], reach };
}

/** One where a character belongs to a value. */
function maskOf({ windows, short }: Index, text: string): Uint8Array<ArrayBuffer> {
  const mask = new Uint8Array(text.length);
  for (const form of short) {
    for (let at = text.indexOf(form); at >= 0; at = text.indexOf(form, at + 1)) mask.fill(1, at, at + form.length);
  }
  const places = new Uint32Array(text.length);
  const characters: string[] = [];
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0 || code === 0x20 || (code >= 0x09 && code <= 0x0d) || code === 0xa0) continue;
    places[characters.length] = i;
    characters.push(text[i] as string);
  }
  const dense = characters.join('');
  const coverDense = (from: number, to: number) => mask.fill(1, places[from] ?? 0, (places[to - 1] ?? 0) + 1);
  for (let at = 0; at + windowChars <= dense.length; at++) {
    const found = windows.get(dense.slice(at, at + windowChars));
    if (found === undefined) continue;
    let [from, to] = [at, at + windowChars];
    for (const place of found) {
      let [left, right] = [0, windowChars];
      while (left < Math.min(at, place.at) && dense[at - left - 1] === place.form[place.at - left - 1]) left += 1;
      while (at + right < dense.length && place.at + right < place.form.length) {
        if (dense[at + right] !== place.form[place.at + right]) break;
        right += 1;
      }
      from = Math.min(from, at - left);
      to = Math.max(to, at + right);
    }
    coverDense(from, to);
    at = Math.max(at, to - windowChars);
  }
  return mask;
}

/** `goesOn`: the text before ended in a covered stretch, which is shown once. */
function cover(text: string, mask: Uint8Array, goesOn = false): string {
  let out = '';
  let from = 0;
  while (from < text.length) {
    const isCovered = mask[from] === 1;
    let to = from + 1;
    while (to < text.length && (mask[to] === 1) === isCovered) to += 1;
    if (!isCovered) out += text.slice(from, to);
    else if (from > 0 || !goesOn) out += redacted;
    from = to;
  }
  return out;
}

/** How many characters at the end hold so many that are not white space. */
function trailing(text: string, wanted: number): number {
  let count = 0;
  let chars = 0;
  while (count < wanted && chars < text.length && chars < maxHeldChars) {
    chars += 1;
    if (!/[\s\0]/.test(text[text.length - chars] as string)) count += 1;
  }
  return wanted === 0 ? 0 : chars;
}

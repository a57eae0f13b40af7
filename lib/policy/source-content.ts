/** The content of a resource as written, inline or as a file of the crate, turned into a blob and a reference to it. */

import { sha256Hex } from '../crypto/digest.ts';
import { utf8 } from '../crypto/encoding.ts';
import { CryptoError } from '../crypto/errors.ts';
import { readContents } from './contents.ts';
import type { CrateInput } from './crate-source.ts';
import { readText } from './fields.ts';
import type { Report } from './problem.ts';
import { type YamlEntry, type YamlMap, type YamlValue, yamlValue } from './yaml.ts';

/** Stands in for content that could not be read, so that the schema can still show what else is wrong. */
const missingContent = { sha256: '0'.repeat(64), bytes: 0 };

/**
 * What is desired, with `content` or `source` replaced by what nodes get: the digest and size of the bytes. The bytes
 * are added to `contents`. Not whole when they could not be read, which was reported then.
 */
export async function withContent(
  map: YamlMap,
  input: CrateInput,
  contents: Map<string, Uint8Array>,
): Promise<{ readonly value: YamlValue; readonly isWhole: boolean }> {
  const content = map.entries.find((entry) => entry.key === 'content');
  const source = map.entries.find((entry) => entry.key === 'source');
  const rest = yamlValue({ ...map, entries: map.entries.filter((entry) => entry !== content && entry !== source) });
  if (content === undefined && source === undefined) return { value: rest, isWhole: true };
  const bytes = await readBytes(content, source, input);
  if (bytes === undefined) return { value: { ...(rest as object), content: missingContent }, isWhole: false };
  const sha256 = sha256Hex(bytes);
  contents.set(sha256, bytes);
  return { value: { ...(rest as object), content: { sha256, bytes: bytes.length } }, isWhole: true };
}

async function readBytes(
  content: YamlEntry | undefined,
  source: YamlEntry | undefined,
  input: CrateInput,
): Promise<Uint8Array | undefined> {
  const { report } = input;
  if (content !== undefined && source !== undefined) {
    report('bad_value', source.keyPlace, 'both "content" and "source"', 'Keep one of them.');
    return undefined;
  }
  const field = content ?? source;
  const text =
    field === undefined ? undefined : readText(field.value, content === undefined ? 'path' : 'content', /^/, report);
  if (field === undefined || text === undefined) return undefined;
  return field === content ? inlineContent(text, field, report) : sourceContent(text, field, input);
}

function inlineContent(text: string, field: YamlEntry, report: Report): Uint8Array | undefined {
  try {
    return utf8(text);
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    report('bad_value', field.value.place, 'the content is not well-formed Unicode');
    return undefined;
  }
}

async function sourceContent(source: string, field: YamlEntry, input: CrateInput): Promise<Uint8Array | undefined> {
  const { folder, name, report } = input;
  if (folder === undefined) {
    const hint = `Move it to crates/${name}/crate.yaml, and the file to crates/${name}/files/.`;
    report('bad_path', field.value.place, 'a crate that is a single file has no files', hint);
    return undefined;
  }
  const read = await readContents(folder, source);
  if (read.ok) return read.bytes;
  report(read.code, field.value.place, read.message, read.hint);
  return undefined;
}

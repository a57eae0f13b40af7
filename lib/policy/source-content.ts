/** The content of a resource as written, inline or as a file of the crate, turned into a blob and a reference to it. */

import { sha256Hex } from '../crypto/digest.ts';
import { fromUtf8, utf8 } from '../crypto/encoding.ts';
import { CryptoError } from '../crypto/errors.ts';
import { readContents } from './contents.ts';
import type { CrateInput } from './crate-source.ts';
import type { Names } from './expression.ts';
import { readText } from './fields.ts';
import type { ContentReference } from './model.ts';
import type { Report } from './problem.ts';
import { isSecretText, markSecrets } from './secret-source.ts';
import { suggestionHint } from './suggest.ts';
import { checkTemplate, maxTemplateBytes } from './template.ts';
import { type YamlEntry, type YamlMap, type YamlValue, yamlValue } from './yaml.ts';

/** The crate that the content is of, and the names that a template of this resource may use. */
export type ContentInput = Pick<CrateInput, 'name' | 'folder' | 'report' | 'scan'> & { readonly names: Names };

const contentKeys: ReadonlySet<string> = new Set(['content', 'source', 'template']);

/** Stands in for content that could not be read, so that the schema can still show what else is wrong. */
const missingContent = { sha256: '0'.repeat(64), bytes: 0 };

/**
 * What is desired, with `content`, `source` or `template` replaced by what nodes get: the digest and size of the bytes.
 * The bytes are added to `contents`. Not whole when they could not be read, which was reported then.
 */
export async function withContent(
  map: YamlMap,
  input: ContentInput,
  contents: Map<string, Uint8Array>,
): Promise<{ readonly value: YamlValue; readonly isWhole: boolean; readonly template?: ContentReference }> {
  const fields = map.entries.filter((entry) => contentKeys.has(entry.key));
  const [field, second] = fields;
  const rest = yamlValue({ ...map, entries: map.entries.filter((entry) => !contentKeys.has(entry.key)) });
  if (field === undefined) return { value: rest, isWhole: true };
  const placeholder = { ...(rest as object), content: missingContent };
  if (second !== undefined) {
    input.report('bad_value', second.keyPlace, `both "${field.key}" and "${second.key}"`, 'Keep one of them.');
    return { value: placeholder, isWhole: false };
  }
  const { value: written } = field;
  if (field.key === 'content' && written.kind === 'scalar' && typeof written.value === 'string') {
    // A secret, or text around secrets, is no blob: what the content is shows on the node alone.
    if (isSecretText(written.value)) return { value: { ...(rest as object), content: written.value }, isWhole: true };
  }
  const bytes = await readBytes(field, input);
  if (bytes === undefined) return { value: placeholder, isWhole: false };
  const reference = { sha256: sha256Hex(bytes), bytes: bytes.length };
  if (field.key !== 'template') {
    contents.set(reference.sha256, bytes);
    return { value: { ...(rest as object), content: reference }, isWhole: true };
  }
  const isWhole = checkSource(bytes, field, input);
  if (isWhole) contents.set(reference.sha256, bytes);
  // What a template becomes is known on the node only; the schema gets to see something of its shape.
  return { value: placeholder, isWhole, template: reference };
}

async function readBytes(field: YamlEntry, input: ContentInput): Promise<Uint8Array | undefined> {
  const isInline = field.key === 'content';
  const text = readText(field.value, isInline ? 'content' : 'path', /^/, input.report);
  if (text === undefined) return undefined;
  return isInline ? inlineContent(text, field, input.report) : sourceContent(text, field, input);
}

/** Reports what is wrong with a template, with its file and line. */
function checkSource(bytes: Uint8Array, field: YamlEntry, { name, names, report }: ContentInput): boolean {
  const { place } = field.value;
  if (bytes.length > maxTemplateBytes) {
    report('too_large', place, `a template of ${bytes.length} bytes, limit ${maxTemplateBytes}`);
    return false;
  }
  let text: string;
  try {
    text = fromUtf8(bytes);
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    report('bad_template', place, 'the template is not UTF-8 text');
    return false;
  }
  const problems = checkTemplate(text, names);
  const path = field.value.kind === 'scalar' ? String(field.value.value) : '';
  for (const { message, line, column, unknown } of problems) {
    const hint = unknown === undefined ? undefined : suggestionHint(unknown.name, unknown.known);
    report('bad_template', { file: `crates/${name}/${path}`, line, column }, message, hint);
  }
  return problems.length === 0;
}

function inlineContent(text: string, field: YamlEntry, report: Report): Uint8Array | undefined {
  try {
    return utf8(markSecrets(text) as string);
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    report('bad_value', field.value.place, 'the content is not well-formed Unicode');
    return undefined;
  }
}

async function sourceContent(source: string, field: YamlEntry, input: ContentInput): Promise<Uint8Array | undefined> {
  const { folder, name, report, scan } = input;
  if (folder === undefined) {
    const hint = `Move it to crates/${name}/crate.yaml, and the file to crates/${name}/files/.`;
    report('bad_path', field.value.place, 'a crate that is a single file has no files', hint);
    return undefined;
  }
  const read = await readContents(folder, source);
  if (read.ok) {
    scan(read.bytes, `crates/${name}/${source}`);
    return read.bytes;
  }
  report(read.code, field.value.place, read.message, read.hint);
  return undefined;
}

/**
 * The reference of resource types, made from their schemas and the notes in words. `node test/docs/resources.ts` writes
 * docs/resources.md; a test compares it.
 */
import { writeFileSync } from 'node:fs';
import { z } from 'zod';
import type { AnyExecutor } from '../../agent/executor.ts';
import { executors } from '../../agent/executors/registry.ts';
import { notes } from './resource-notes.ts';

export const page = new URL('../../docs/resources.md', import.meta.url);

type JsonSchema = {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly JsonSchema[];
  readonly items?: JsonSchema;
  readonly default?: unknown;
  readonly properties?: { readonly [name: string]: JsonSchema };
  readonly required?: readonly string[];
};

const head = `# Resource types

<!-- Written by \`node test/docs/resources.ts\` from the schemas of agent/executors. -->

Every type is checked before it is applied, and checked again afterwards; a dry run is that same check. What a resource
comes to is one of these:

| result | meaning |
|---|---|
| \`unchanged\` | the machine was as declared, and nothing was written |
| \`created\`, \`updated\`, \`removed\` | it was not, and now it is; in a dry run: it would be |
| \`skipped\` | what it needs failed, its \`when\` doesn’t hold here, or (dry run) it can’t be told before something else is applied |
| \`blocked\` | the node’s guard refused it before looking at it |
| \`failed\` | with the reason; what doesn’t need it goes on |

“For real” means: applied, changed by hand, restored, and applied again with nothing to do, by \`npm run test:root\`, with
the machine’s own tools as root in a throw-away root file system. Every type also has the property suite
(\`test/conformance/executor.ts\`). Windows is not supported.

Fields are required unless a default is given or the cell says “optional”.
`;

/** The whole page. */
export function formatReference(): string {
  const types = [...executors.values()];
  const list = types.map(({ name }) => `[\`${name}\`](#${name})`).join(' · ');
  return `${head}\n${list}\n${types.map(formatType).join('')}`;
}

function formatType({ name, schema }: AnyExecutor): string {
  const note = notes[name];
  if (note === undefined) {
    throw new TypeError(`test/docs/resource-notes.ts says nothing of the type ${name}`);
  }
  const { properties = {}, required = [] }: JsonSchema = z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
  }) as JsonSchema;
  const rows = Object.entries(properties).map(([field, value]) => {
    const words = note.fields[field];
    if (words === undefined) {
      throw new TypeError(`test/docs/resource-notes.ts says nothing of ${name}.${field}`);
    }
    const fallback =
      value.default === undefined
        ? required.includes(field)
          ? ''
          : 'optional'
        : `\`${JSON.stringify(value.default)}\``;
    return `| \`${field}\` | ${formatKind(value)} | ${fallback} | ${words} |\n`;
  });
  const extra = Object.keys(note.fields).filter((field) => !(field in properties));
  if (extra.length > 0) {
    throw new TypeError(`test/docs/resource-notes.ts knows fields that ${name} has not: ${extra.join(', ')}`);
  }
  const example = note.example
    .split('\n')
    .map((line) => `    ${line}\n`)
    .join('');
  return `
## ${name}

${note.about}

\`\`\`yaml
- ${name}:
${example}\`\`\`

| field | kind | default | |
|---|---|---|---|
${rows.join('')}
${note.platforms}
`;
}

function formatKind(schema: JsonSchema): string {
  if (schema.enum !== undefined) {
    return schema.enum.map((value) => `\`${value}\``).join(', ');
  }
  if (schema.anyOf !== undefined) {
    return [...new Set(schema.anyOf.map(formatKind))].join(' or ');
  }
  switch (schema.type) {
    case 'array':
      return schema.items === undefined || schema.items.type === undefined
        ? 'list'
        : `list of ${formatKind(schema.items)}`;
    case 'string':
      return 'text';
    case 'integer':
      return 'number';
    case 'boolean':
      return 'flag';
    case 'object':
      return 'map';
    default:
      return 'any value';
  }
}

if (import.meta.main) {
  writeFileSync(page, formatReference());
}

/**
 * JSON Schemas of the files that people write, for editors: made from the schemas that the check itself uses, so that
 * they can't differ. Draft 7, which is what editors' YAML support knows. A schema sees one file alone; what shows only
 * when files are seen together, and the types of what `foreach` fills in, is for `policy check`.
 */

import { z } from 'zod';
import { acceptsJsonSchema } from './accepts.ts';
import {
  controlPattern,
  crateNamePattern,
  labelPattern,
  maxBindings,
  maxControls,
  maxCrates,
  maxExpressionChars,
  maxLabels,
  maxReferences,
  maxResources,
  maxVars,
  varNamePattern,
} from './names.ts';
import { type ResourceTypes, typesWithContent } from './resource-types.ts';
import { varTypes } from './vars.ts';

export type JsonSchema = { readonly [keyword: string]: unknown };

const draft = 'http://json-schema.org/draft-07/schema#';
const closed = { type: 'object', additionalProperties: false } as const;
const text = (description: string, more: JsonSchema = {}): JsonSchema => ({ type: 'string', description, ...more });
const list = (items: JsonSchema, maxItems: number, description: string): JsonSchema => ({
  type: 'array',
  items,
  maxItems,
  description,
});
const crateName = { type: 'string', pattern: crateNamePattern.source };
const vars = (description: string): JsonSchema => ({
  type: 'object',
  description,
  propertyNames: { pattern: varNamePattern.source },
  maxProperties: maxVars,
  additionalProperties: { not: { type: 'null' } },
});
const reference = text('type/name, or crate:type/name', { pattern: '^(?:[a-z][a-z0-9-]*:)?[a-z][a-z0-9_]*/.' });

/** Of `crates/NAME.yaml` and `crates/NAME/crate.yaml`. */
export function crateJsonSchema(types: ResourceTypes): JsonSchema {
  const definitions: Record<string, JsonSchema> = {};
  const typeSchemas: Record<string, JsonSchema> = {};
  for (const [name, type] of types) {
    const { definitions: own, ...schema } = zodToJsonSchema(type.schema, name);
    Object.assign(definitions, own);
    typeSchemas[name] = asWritten(name, schema);
  }
  return {
    $schema: draft,
    title: 'A crate of a policy',
    ...closed,
    properties: {
      crate: { ...crateName, description: 'its name, as the file or folder is named' },
      includes: list(crateName, maxCrates, 'crates that this one brings along, before itself'),
      vars: vars('names and defaults; holdfast.yaml may give other values of the same type'),
      inputs: {
        type: 'object',
        description: 'names and types of vars without a default, which holdfast.yaml must give',
        propertyNames: { pattern: varNamePattern.source },
        maxProperties: maxVars,
        additionalProperties: { enum: [...varTypes] },
      },
      controls: list(
        text('a control, such as cis-debian-12:1.1.1', { pattern: controlPattern.source }),
        maxControls,
        'what the crate serves; compliance reports group by them',
      ),
      resources: list({ $ref: '#/definitions/resource' }, maxResources, 'what to hold, in the order of the work'),
    },
    anyOf: [{ required: ['resources'] }, { required: ['includes'] }],
    definitions: {
      ...definitions,
      resource: {
        ...closed,
        properties: {
          ...typeSchemas,
          requires: list(reference, maxReferences, 'these come first, and must be as desired'),
          notify: list(reference, maxReferences, 'these run again when this one changed, and come after it'),
          before: list(reference, maxReferences, 'these come after'),
          when: text('CEL over facts, vars, node and item; the resource is left alone unless it is true', {
            minLength: 1,
            maxLength: maxExpressionChars,
          }),
          accepts: acceptsJsonSchema,
          foreach: {
            description: 'a var that holds a list, as vars.NAME, or a list: one resource an item',
            oneOf: [{ type: 'string' }, { type: 'array' }],
          },
        },
        oneOf: [...types.keys()].map((name) => ({ required: [name] })),
      },
    },
  };
}

/** Of `holdfast.yaml`. */
export function holdfastJsonSchema(): JsonSchema {
  const label = { type: 'string', pattern: labelPattern.source };
  const match = {
    ...closed,
    minProperties: 1,
    description: 'the nodes that this binding means, by what they were enrolled as; all conditions hold',
    properties: {
      name: text('pattern of the enrolled name: * for any run of characters, ? for one'),
      labels: {
        type: 'object',
        description: 'enrolled labels, all of them',
        propertyNames: { pattern: labelPattern.source },
        minProperties: 1,
        maxProperties: maxLabels,
        additionalProperties: label,
      },
    },
  };
  const binding = {
    ...closed,
    required: ['match'],
    anyOf: [{ required: ['crates'] }, { required: ['vars'] }],
    properties: {
      match,
      crates: {
        ...list(crateName, maxCrates, 'crates that these nodes get, in this order'),
        minItems: 1,
        uniqueItems: true,
      },
      vars: vars('values for these nodes; a later binding wins'),
    },
  };
  return {
    $schema: draft,
    title: 'Which nodes get which crates',
    ...closed,
    required: ['bindings'],
    properties: {
      vars: vars('values for the whole fleet; bindings win'),
      bindings: list(binding, maxBindings, 'which nodes get which crates and vars'),
      release: {
        ...closed,
        properties: {
          expires: text('how long nodes act on a release without a newer one: 12h, 90d, 8w', {
            pattern: '^[1-9][0-9]{0,4}[hdw]$',
          }),
        },
      },
    },
  };
}

type ObjectSchema = JsonSchema & {
  readonly properties?: { readonly [name: string]: JsonSchema };
  readonly required?: readonly string[];
};

/** The definitions of one type get its name before theirs, since all types share one document. */
function zodToJsonSchema(
  schema: z.ZodType,
  name: string,
): ObjectSchema & { readonly definitions: Record<string, JsonSchema> } {
  const json = JSON.stringify(z.toJSONSchema(schema, { io: 'input', target: 'draft-7', unrepresentable: 'any' }));
  const {
    $schema: _draft,
    definitions = {},
    ...rest
  } = JSON.parse(json.replaceAll('"#/definitions/', `"#/definitions/${name}.`)) as ObjectSchema & {
    readonly definitions?: Record<string, JsonSchema>;
  };
  const own = Object.fromEntries(Object.entries(definitions).map(([one, value]) => [`${name}.${one}`, value]));
  return { ...rest, definitions: own };
}

/** What `foreach` and secrets put in place of a value is text of their own kind. */
const placeholder = { type: 'string', pattern: '\\{[{%]|secret:' };

function asWritten(name: string, schema: ObjectSchema): JsonSchema {
  const { properties = {}, required = [], ...rest } = schema;
  const written = Object.fromEntries(
    Object.entries(properties).map(([key, value]) => [key, { anyOf: [value, placeholder] } as JsonSchema]),
  );
  if (!typesWithContent.has(name))
    return { ...rest, properties: written, ...(required.length > 0 ? { required } : {}) };
  return {
    ...rest,
    properties: {
      ...written,
      content: text('the content itself'),
      source: text('a file of the crate that holds the content: files/…'),
      template: text('a Liquid template of the crate that the node renders into the content: files/….liquid'),
    },
    ...(required.length > 0 ? { required: required.filter((key) => key !== 'content') } : {}),
  };
}

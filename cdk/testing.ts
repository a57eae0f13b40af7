/** For tests: a synthesis with placeholder programs, and templates as plain values to ask questions of. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { functionNames } from '../functions/aws/environment.ts';
import { buildApp, type Deployment } from './build-app.ts';

export type Resource = {
  readonly Type: string;
  readonly Properties?: { readonly [name: string]: unknown };
  readonly DeletionPolicy?: string;
};
export type Template = {
  readonly Resources: { readonly [logicalId: string]: Resource };
  readonly Parameters?: { readonly [name: string]: { readonly [property: string]: unknown } };
};
export type Templates = { readonly [stack: string]: Template };

export const profileNames = ['small', 'standard'] as const;

/** A part of a template as JSON, to look for something in it wherever it stands. */
export function text(value: unknown): string {
  return JSON.stringify(value) ?? '';
}

export function mentions(value: unknown, part: string): boolean {
  return text(value).includes(part);
}

export function temporaryDirectory(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'holdfast-cdk-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** A folder as `npm run build` leaves one, with programs that do nothing: templates do not depend on what is in them. */
export function writePlaceholders(directory: string): string {
  for (const name of functionNames) {
    mkdirSync(join(directory, name), { recursive: true });
    writeFileSync(join(directory, name, 'index.mjs'), 'export const handler = async () => ({});\n');
    if (name === 'gateway') writeFileSync(join(directory, name, 'Dockerfile'), 'FROM scratch\n');
  }
  return directory;
}

/** The feature flags of `cdk.json`, as the CDK command passes them. */
export function featureFlags(): { readonly [flag: string]: unknown } {
  const file = JSON.parse(readFileSync(join(import.meta.dirname, '../cdk.json'), 'utf8'));
  return (file as { context: { readonly [flag: string]: unknown } }).context;
}

/** Builds with placeholders, without synthesizing. */
export function build(directory: string, context: { readonly [key: string]: string } = {}): Deployment {
  const bundles = writePlaceholders(join(directory, 'bundles'));
  return buildApp({ bundles, outdir: join(directory, 'out'), context: { ...featureFlags(), ...context } });
}

export function readTemplates(outdir: string): Templates {
  const names = readdirSync(outdir).filter((file) => file.endsWith('.template.json'));
  return Object.fromEntries(
    names.map((file) => [
      file.slice(0, -'.template.json'.length),
      JSON.parse(readFileSync(join(outdir, file), 'utf8')) as Template,
    ]),
  );
}

/** Templates of a deployment; its directory is gone afterwards. Without the rule packs unless `validate`. */
export function synthesize(context: { readonly [key: string]: string } = {}, validate = false): Templates {
  const { path, remove } = temporaryDirectory();
  try {
    build(path, context).app.synth({ skipValidation: !validate, validateOnSynthesis: false });
    return readTemplates(join(path, 'out'));
  } finally {
    remove();
  }
}

/** All resources of a type, with their stack. */
export function resourcesOf(
  templates: Templates,
  type: string,
): { readonly stack: string; readonly id: string; readonly resource: Resource; readonly properties: Properties }[] {
  return Object.entries(templates).flatMap(([stack, { Resources }]) =>
    Object.entries(Resources)
      .filter(([, { Type }]) => Type === type)
      .map(([id, resource]) => ({ stack, id, resource, properties: (resource.Properties ?? {}) as Properties })),
  );
}

// biome-ignore lint/suspicious/noExplicitAny: a template is JSON that these tests ask questions of
export type Properties = { readonly [name: string]: any };

export type Statement = {
  readonly stack: string;
  readonly id: string;
  readonly type: string;
  readonly sid?: string;
  readonly effect: 'Allow' | 'Deny';
  readonly actions: readonly string[];
  readonly resources: readonly unknown[];
  readonly principal?: unknown;
  readonly condition: Properties;
};

/** Every policy statement anywhere in the templates: roles, resources, endpoints, keys. */
export function statementsOf(templates: Templates): Statement[] {
  const found: Statement[] = [];
  for (const [stack, { Resources }] of Object.entries(templates)) {
    for (const [id, { Type, Properties: properties }] of Object.entries(Resources)) {
      walk(properties, (value) => {
        if (value['Effect'] !== 'Allow' && value['Effect'] !== 'Deny') return;
        found.push({
          stack,
          id,
          type: Type,
          effect: value['Effect'],
          actions: [value['Action'] ?? []].flat() as string[],
          resources: [value['Resource'] ?? []].flat(),
          condition: (value['Condition'] ?? {}) as Properties,
          ...(value['Sid'] !== undefined && { sid: String(value['Sid']) }),
          ...(value['Principal'] !== undefined && { principal: value['Principal'] }),
        });
      });
    }
  }
  return found;
}

function walk(value: unknown, visit: (object: Properties) => void): void {
  if (Array.isArray(value)) for (const element of value) walk(element, visit);
  else if (typeof value === 'object' && value !== null) {
    visit(value as Properties);
    for (const element of Object.values(value)) walk(element, visit);
  }
}

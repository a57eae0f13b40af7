/**
 * Acceptance: what a crate says of commands that nobody can judge by reading them, rule by rule and with a reason. Only
 * the unknown can be accepted, and only by two operators: whatever is dangerous stays refused, at publish and on nodes.
 */
import { z } from 'zod';
import { readMap, readText } from './fields.ts';
import type { Place, Report } from './problem.ts';
import type { YamlEntry } from './yaml.ts';

/** Reasons by the id of the rule. */
export type Accepts = { readonly [rule: string]: string };

/** Distinct trusted signers of a release in which something is accepted, whatever the fleet's threshold is. */
export const acceptingSigners = 2;

const maxAccepted = 8;
const rulePattern = /^G[0-9]{4}$/;
/** One line that people can read. */
const reasonPattern = /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]{10,200}$/u;

export const acceptsSchema = z
  .record(z.string().regex(rulePattern), z.string().regex(reasonPattern))
  .refine((accepts) => Object.keys(accepts).length >= 1 && Object.keys(accepts).length <= maxAccepted);

/** For editors. */
export const acceptsJsonSchema = {
  type: 'object',
  description: 'rules of guardrails that find this command unknown, each with the reason why it may run all the same',
  propertyNames: { pattern: rulePattern.source },
  additionalProperties: { type: 'string', minLength: 10, maxLength: 200 },
  minProperties: 1,
  maxProperties: maxAccepted,
} as const;

/** With the place of each rule, for what is said of it later. */
export type SourceAccepts = ReadonlyMap<string, { readonly reason: string; readonly place: Place }>;

export function readAccepts(field: YamlEntry | undefined, report: Report): SourceAccepts {
  const accepts = new Map<string, { reason: string; place: Place }>();
  const map = field === undefined ? undefined : readMap(field.value, 'accepts', report);
  for (const entry of map?.entries ?? []) {
    if (!rulePattern.test(entry.key)) {
      const hint = 'Write the id that "holdfast policy check" shows, as G0602.';
      report('bad_value', entry.keyPlace, `"${entry.key.slice(0, 40)}" is no id of a rule`, hint);
      continue;
    }
    const reason = readText(entry.value, 'reason of 10 to 200 characters on one line', reasonPattern, report);
    if (reason !== undefined) accepts.set(entry.key, { reason, place: entry.keyPlace });
  }
  if (accepts.size > maxAccepted && field !== undefined)
    report('too_large', field.value.place, `"accepts" has ${accepts.size} rules, limit ${maxAccepted}`);
  return accepts;
}

/** Without places, as it is signed. */
export function plainAccepts(accepts: SourceAccepts): Accepts {
  return Object.fromEntries([...accepts].map(([rule, { reason }]) => [rule, reason] as const));
}

type Accepting = {
  readonly crate: string;
  readonly resources: readonly { readonly type: string; readonly id: string; readonly accepts?: Accepts }[];
};

const maxInEntry = 20;
const maxKeyChars = 160;

/** What a release accepts, as `crate/type/id G0602: reason`, for the audit entry. An entry is small, so it is cut. */
export function acceptedIn(crates: readonly Accepting[]): readonly string[] {
  return crates
    .flatMap(({ crate, resources }) =>
      resources.flatMap(({ type, id, accepts }) =>
        Object.entries(accepts ?? {}).map(
          ([rule, reason]) => `${`${crate}/${type}/${id}`.slice(0, maxKeyChars)} ${rule}: ${reason.slice(0, 100)}`,
        ),
      ),
    )
    .slice(0, maxInEntry);
}

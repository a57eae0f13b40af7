/**
 * The gate on permissions: compares templates with the reviewed ones and names every right, rule or open door that is
 * new. Uses CDK's own judgement, the one `cdk deploy --require-approval=broadening` asks, and what that does not see.
 */
import { fullDiff } from '@aws-cdk/cloudformation-diff';

type Json = { readonly [key: string]: unknown };
export type TemplateLike = { readonly Resources?: { readonly [logicalId: string]: unknown } };

export type Broadening = { readonly stack: string; readonly what: string };

/** What is broader in `after` than in `before`; empty when nothing is. Throws nothing on templates that CDK writes. */
export function broadenings(
  before: { readonly [stack: string]: TemplateLike },
  after: { readonly [stack: string]: TemplateLike },
): Broadening[] {
  const found: Broadening[] = [];
  for (const [stack, template] of Object.entries(after)) {
    const reviewed = before[stack] ?? { Resources: {} };
    const diff = fullDiff(copy(reviewed), copy(template));
    if (diff.permissionsBroadened) found.push(...describe(stack, diff));
    found.push(...policies(reviewed, template).map((what) => ({ stack, what })));
  }
  return found;
}

function describe(stack: string, diff: ReturnType<typeof fullDiff>): Broadening[] {
  const { iamChanges, securityGroupChanges } = diff;
  const statements = iamChanges.statements;
  const rows = [
    ...statements.additions.filter((each) => each.effect === 'Allow').map((each) => ['allowed', each]),
    ...statements.removals.filter((each) => each.effect === 'Deny').map((each) => ['no longer denied', each]),
    ...iamChanges.managedPolicies.additions.map((each) => ['managed policy', each.managedPolicyArn]),
    ...securityGroupChanges.ingress.additions.map((each) => ['ingress', each.toJson()]),
    ...securityGroupChanges.egress.additions.map((each) => ['egress', each.toJson()]),
  ];
  const what = rows.map(([kind, value]) => `${kind}: ${JSON.stringify(value)}`);
  // CDK says so, even when it does not say where.
  return (what.length > 0 ? what : ['permissions are broader']).map((each) => ({ stack, what: each }));
}

/**
 * Documents that CDK's judgement passes over, above all the policies of keys, tables and endpoints: a new Allow, or a
 * Deny that went.
 */
function policies(before: TemplateLike, after: TemplateLike): string[] {
  const old = documents(before);
  return [...documents(after)]
    .flatMap(([place, statements]) => {
      const known = old.get(place) ?? { allow: new Set<string>(), deny: new Set<string>() };
      return [
        ...[...statements.allow].filter((each) => !known.allow.has(each)).map((each) => `${place} allows: ${each}`),
        ...[...known.deny]
          .filter((each) => !statements.deny.has(each))
          .map((each) => `${place} no longer denies: ${each}`),
      ];
    })
    .concat(
      [...old]
        .filter(([place, { deny }]) => deny.size > 0 && !documents(after).has(place))
        .map(([place]) => `${place} is gone, and its denials with it`),
    );
}

type Statements = { readonly allow: Set<string>; readonly deny: Set<string> };

/** Statements by the resource and property that they stand in. */
function documents({ Resources = {} }: TemplateLike): Map<string, Statements> {
  const found = new Map<string, Statements>();
  const walk = (value: unknown, place: string): void => {
    if (Array.isArray(value)) for (const element of value) walk(element, place);
    else if (isObject(value)) {
      if (value['Effect'] === 'Allow' || value['Effect'] === 'Deny') {
        const held = found.get(place) ?? { allow: new Set<string>(), deny: new Set<string>() };
        held[value['Effect'] === 'Allow' ? 'allow' : 'deny'].add(JSON.stringify(value));
        found.set(place, held);
      } else
        for (const [key, element] of Object.entries(value))
          walk(element, key === 'Statement' ? place : `${place}.${key}`);
    }
  };
  for (const [id, resource] of Object.entries(Resources)) {
    if (isObject(resource)) walk(resource['Properties'], id);
  }
  return found;
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The library writes into what it is given. */
function copy<T>(value: T): T {
  return structuredClone(value);
}

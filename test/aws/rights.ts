/**
 * Whether the calls that a function made are ones that its role allows, judged as IAM does as far as our statements go:
 * action, resource, leading keys. Emulators enforce no roles, so this is where a missing right shows.
 */
import type { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { Call } from './recorder.ts';

type Statement = {
  readonly Effect: string;
  readonly Action: string | readonly string[];
  readonly Resource: string | readonly string[];
  readonly Condition?: {
    readonly 'ForAllValues:StringLike'?: { readonly 'dynamodb:LeadingKeys'?: readonly string[] };
  };
};

/** The calls that no statement allows, each once, as text. */
export function refusedCalls(calls: readonly Call[], statements: readonly PolicyStatement[]): string[] {
  const allowed = statements
    .map((each) => each.toStatementJson() as Statement)
    .filter((each) => each.Effect === 'Allow');
  const refused = calls.filter((call) => !allowed.some((statement) => allows(statement, call)));
  return [...new Set(refused.map(describe))].sort();
}

function allows({ Action, Resource, Condition }: Statement, { action, resource, partitions }: Call): boolean {
  const keys = Condition?.['ForAllValues:StringLike']?.['dynamodb:LeadingKeys'];
  return (
    listOf(Action).includes(action) &&
    listOf(Resource).some((pattern) => matches(pattern, resource)) &&
    (keys === undefined || partitions.every((key) => keys.some((pattern) => matches(pattern, key))))
  );
}

function listOf(value: string | readonly string[]): readonly string[] {
  return typeof value === 'string' ? [value] : value;
}

/** `*` stands for any characters (IAM User Guide, "StringLike"). */
function matches(pattern: string, text: string): boolean {
  const expression = pattern
    .split('*')
    .map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&'))
    .join('.*');
  return new RegExp(`^${expression}$`, 's').test(text);
}

/** Names of single nodes, runs and objects are cut, so that like calls read alike. */
function describe({ action, resource, partitions }: Call): string {
  const short = (text: string) => text.replaceAll(/[0-9a-f]{8,}|[0-9]{4,}/g, '…');
  return [action, short(resource), ...partitions.map(short)].join(' ');
}

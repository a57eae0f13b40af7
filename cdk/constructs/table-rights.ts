/**
 * Rights on the table, by partition: each role names the partitions that it reads, creates, changes and deletes items in
 * (`dynamodb:LeadingKeys`). Nobody is given Scan, batches, PartiQL, or an Update or Delete on an entry of the audit log.
 */
import { AnyPrincipal, Effect, PolicyDocument, PolicyStatement } from 'aws-cdk-lib/aws-iam';

/** Partition keys; a `*` at the end stands for the rest of the key. */
export type TableRights = {
  readonly read: readonly string[];
  /** PutItem, which also replaces: what must stay is kept by a condition in the request, see docs/aws.md. */
  readonly put: readonly string[];
  readonly update: readonly string[];
  readonly delete: readonly string[];
  /** Of these partitions only the named attributes may be changed. */
  readonly updateOnly?: { readonly partitions: readonly string[]; readonly attributes: readonly string[] };
};

/** Where a writer of audit entries writes: its own lanes, the list of lanes, and what it is about to do. */
export function entryWriter(writerId: string): Pick<TableRights, 'read' | 'put' | 'delete'> {
  return {
    read: ['lanes', `lane#${writerId}-*`, 'log', 'intents'],
    put: ['lanes', `lane#${writerId}-*`, 'intents'],
    delete: ['intents'],
  };
}

/** Sealed blocks and entries: written once, for ever. */
export const immutablePartitions = ['lane#*', 'block#*'] as const;

/** The statements of one role. `tableArn` is the table's, without indexes, of which there are none. */
export function tableStatements(tableArn: string, rights: TableRights): PolicyStatement[] {
  const statement = (sid: string, actions: string[], partitions: readonly string[], more?: Conditions) =>
    new PolicyStatement({
      sid,
      actions,
      resources: [tableArn],
      conditions: { ...onlyPartitions(partitions, more), Null: { 'dynamodb:LeadingKeys': 'false' } },
    });
  const { updateOnly } = rights;
  return [
    statement('TableRead', ['dynamodb:ConditionCheckItem', 'dynamodb:GetItem', 'dynamodb:Query'], rights.read),
    ...(rights.put.length > 0 ? [statement('TablePut', ['dynamodb:PutItem'], rights.put)] : []),
    ...(rights.update.length > 0 ? [statement('TableUpdate', ['dynamodb:UpdateItem'], rights.update)] : []),
    ...(rights.delete.length > 0 ? [statement('TableDelete', ['dynamodb:DeleteItem'], rights.delete)] : []),
    ...(updateOnly === undefined
      ? []
      : [
          statement('TableUpdateSome', ['dynamodb:UpdateItem'], updateOnly.partitions, {
            'dynamodb:Attributes': [...updateOnly.attributes],
          }),
        ]),
  ];
}

type Conditions = { readonly [key: string]: readonly string[] };

/**
 * IAM User Guide, "Condition operators for multivalued keys": `ForAllValues` also holds of no value at all, hence the
 * `Null` beside it.
 */
function onlyPartitions(partitions: readonly string[], more: Conditions = {}) {
  return { 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': [...partitions], ...more } };
}

/**
 * The table's own policy. An explicit Deny, which no policy of a role outweighs: entries and blocks are neither updated
 * nor deleted, by nobody in the account, and an entry is not written past the Query and Put that programs use.
 */
export function immutableEntries(): PolicyDocument {
  return new PolicyDocument({
    statements: [
      new PolicyStatement({
        sid: 'EntriesStand',
        effect: Effect.DENY,
        principals: [new AnyPrincipal()],
        actions: [
          'dynamodb:BatchWriteItem',
          'dynamodb:DeleteItem',
          'dynamodb:PartiQLDelete',
          'dynamodb:PartiQLInsert',
          'dynamodb:PartiQLUpdate',
          'dynamodb:UpdateItem',
        ],
        // A policy that names its own table would refer to itself; in a table's policy `*` is that table.
        resources: ['*'],
        conditions: { 'ForAnyValue:StringLike': { 'dynamodb:LeadingKeys': [...immutablePartitions] } },
      }),
    ],
  });
}

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import {
  mentions,
  profileNames,
  resourcesOf,
  type Statement,
  statementsOf,
  synthesize,
  type Templates,
  text,
} from './testing.ts';

for (const profile of profileNames) {
  describe(profile, () => {
    let templates: Templates;
    let statements: readonly Statement[];
    before(() => {
      templates = synthesize({ profile });
      statements = statementsOf(templates);
    });
    const all = (type: string) => resourcesOf(templates, type);
    const allowed = (action: string) =>
      statements.filter((each) => each.effect === 'Allow' && each.actions.includes(action));

    test('no statement allows an action with a wildcard, and none allows by exclusion', () => {
      assert(statements.length > 40);
      for (const { id, effect, actions } of statements) {
        if (effect === 'Allow')
          assert.deepEqual(
            actions.filter((action) => action.includes('*')),
            [],
            id,
          );
      }
      assert.doesNotMatch(text(templates), /"(NotAction|NotPrincipal|NotResource)"/);
      assert.doesNotMatch(text(templates), /ManagedPolicyArns/);
      assert.deepEqual(all('AWS::IAM::User'), []);
    });

    test('only an action that knows no resource is allowed on all resources by a role', () => {
      const noResource = ['dynamodb:ListStreams', 'ecr:GetAuthorizationToken', 'secretsmanager:ListSecrets'];
      for (const { id, type, effect, actions, resources } of statements) {
        if (effect === 'Allow' && type === 'AWS::IAM::Policy' && resources.includes('*'))
          assert.deepEqual(
            actions.filter((action) => !noResource.includes(action)),
            [],
            id,
          );
      }
    });

    test('only the sealer may sign with the log key, only the identity service with the CA key', () => {
      const expected = {
        LogKey: ['SealerRole', 'ED25519_SHA_512'],
        AuthorityKey: ['IdentityRole', 'ECDSA_SHA_256'],
      } as const;
      const inKeys = allowed('kms:Sign').filter(({ type }) => type === 'AWS::KMS::Key');
      assert.equal(inKeys.length, 2);
      for (const { id, principal, condition } of inKeys) {
        const [role, algorithm] = expected[id.startsWith('LogKey') ? 'LogKey' : 'AuthorityKey'];
        assert.match(text(principal), new RegExp(`^\\{"AWS":\\{"Fn::GetAtt":\\["${role}\\w+","Arn"\\]\\}\\}$`));
        assert.deepEqual(condition['StringEquals'], { 'kms:SigningAlgorithm': algorithm, 'kms:MessageType': 'RAW' });
        const denials = statements.filter((each) => each.id === id && each.effect === 'Deny');
        const [others] = denials.filter(({ actions }) => actions.includes('kms:Sign'));
        assert(mentions(others?.condition['StringNotEquals']?.['aws:PrincipalArn'], role));
        assert.deepEqual(others?.principal, { AWS: '*' });
        assert(
          denials.some(({ actions, condition: when }) => actions.includes('kms:CreateGrant') && text(when) === '{}'),
        );
      }
      const inRoles = allowed('kms:Sign').filter(({ type }) => type === 'AWS::IAM::Policy');
      assert.deepEqual(
        inRoles.map(({ id, resources }) => [id.slice(0, 8), /LogKey|AuthorityKey/.exec(text(resources))?.[0]]).sort(),
        [
          ['Identity', 'AuthorityKey'],
          ['SealerPo', 'LogKey'],
        ],
      );
      // The account's administrators keep the key's policy, and with it the last word; CloudTrail sees them use it.
      for (const { id, type, actions, principal } of statements) {
        if (type === 'AWS::KMS::Key' && mentions(principal, ':root') && !id.startsWith('DataKey'))
          assert.deepEqual(
            actions.filter((action) => /Sign$|Decrypt|Encrypt|CreateGrant|ReplicateKey/.test(action)),
            [],
            id,
          );
      }
    });

    test('R29 who writes entries can neither update nor delete one; the table denies it to everybody', () => {
      const immutable = ['lane#', 'block#'];
      const partitionsOf = ({ condition }: Statement): string[] =>
        condition['ForAllValues:StringLike']?.['dynamodb:LeadingKeys'] ?? ['*'];
      const reaches = (pattern: string) =>
        immutable.some(
          (prefix) =>
            pattern === '*' || pattern.startsWith(prefix) || prefix.startsWith(pattern.replace(/\*$/, '') || '*'),
        );
      const changing = [
        'UpdateItem',
        'DeleteItem',
        'BatchWriteItem',
        'PartiQLDelete',
        'PartiQLUpdate',
        'PartiQLInsert',
      ];
      for (const action of changing) {
        for (const statement of allowed(`dynamodb:${action}`)) {
          // An endpoint lets pass; it gives no right.
          if (statement.type === 'AWS::EC2::VPCEndpoint') continue;
          assert.deepEqual(partitionsOf(statement).filter(reaches), [], `${statement.id} ${action}`);
          assert.equal(statement.condition['Null']?.['dynamodb:LeadingKeys'], 'false');
        }
      }
      const lanes = allowed('dynamodb:PutItem')
        .filter(({ type }) => type === 'AWS::IAM::Policy')
        .map((statement) => [
          statement.id.replace(/(TaskRole|Default)?Policy.*|TaskRole.*/, ''),
          ...partitionsOf(statement).filter(reaches),
        ]);
      assert.deepEqual(lanes.sort(), [
        ['Admin', 'lane#admin-*'],
        ['Deliver', 'lane#deliver-*'],
        ['Gateway', 'lane#gateway-*'],
        ['Identity', 'lane#identity-*'],
        ['Sealer', 'block#*', 'lane#*'],
        ['Secrets', 'lane#secrets-*'],
      ]);
      const [table, ...more] = all('AWS::DynamoDB::GlobalTable');
      assert.deepEqual(more, []);
      const [denial] = table?.properties['Replicas'][0].ResourcePolicy.PolicyDocument.Statement ?? [];
      assert.equal(denial.Effect, 'Deny');
      assert.deepEqual(denial.Principal, { AWS: '*' });
      assert.deepEqual(denial.Condition, {
        'ForAnyValue:StringLike': { 'dynamodb:LeadingKeys': ['lane#*', 'block#*'] },
      });
      for (const action of changing) assert(denial.Action.includes(`dynamodb:${action}`), action);
    });

    test('R10 only the sealing function reads values of secrets, and only the gateway invokes it', () => {
      const ofSecrets = statements.filter(({ actions }) => actions.some((each) => each.startsWith('secretsmanager:')));
      const readers = ofSecrets.filter(({ actions }) =>
        actions.some((each) => /Value$/.test(each) && !/:Put/.test(each)),
      );
      assert.deepEqual(readers.map(({ id, actions }) => [id.slice(0, 13), actions]).sort(), [
        ['DeliverPolicy', ['secretsmanager:GetSecretValue']],
        ['SecretsPolicy', ['secretsmanager:GetSecretValue']],
      ]);
      // Delivery reaches the credentials of destinations, and none that a node is given.
      assert(readers.filter(({ id }) => id.startsWith('Deliver')).every((each) => mentions(each.resources, '/siem/*')));
      // Below the fleet's prefix alone; nobody may change who may read a secret, or copy one elsewhere.
      for (const { actions, resources } of ofSecrets) {
        assert(
          actions.join() === 'secretsmanager:ListSecrets' || mentions(resources, ':secret:holdfast/'),
          actions.join(),
        );
        for (const action of actions) {
          assert.doesNotMatch(action, /ResourcePolicy|Replicat|RotateSecret|UpdateSecret|RestoreSecret|Tag/);
        }
      }
      const invokers = allowed('lambda:InvokeFunction').filter(({ resources }) =>
        mentions(resources, 'SecretsFunction'),
      );
      assert.deepEqual(
        invokers.map(({ id }) => id.slice(0, 15)),
        ['GatewayTaskRole'],
      );
      const permissions = all('AWS::Lambda::Permission').filter(({ properties }) =>
        mentions(properties['FunctionName'], 'SecretsFunction'),
      );
      assert.deepEqual(permissions, []);
      // The customer's key, for what Secrets Manager stores of this fleet.
      const keyUse = statements.filter(({ condition }) => mentions(condition, 'kms:EncryptionContext:SecretARN'));
      assert.deepEqual(keyUse.map(({ id, actions }) => [id.slice(0, 7), ...actions]).sort(), [
        ['AdminPo', 'kms:Decrypt', 'kms:GenerateDataKey'],
        ['Deliver', 'kms:Decrypt'],
        ['Secrets', 'kms:Decrypt'],
      ]);
    });

    test('nobody scans the table, removes it or its protection, and its rights name partitions', () => {
      for (const { id, type, effect, actions, condition } of statements) {
        if (effect === 'Deny' || type !== 'AWS::IAM::Policy') continue;
        for (const action of actions) {
          assert.doesNotMatch(
            action,
            /Scan|Batch(Get|Write)Item|PartiQL|DeleteTable|UpdateTable|PutResourcePolicy|DeleteObjectVersion|PutBucket|BypassGovernance|PassRole/,
            id,
          );
          if (/^dynamodb:(Get|Put|Update|Delete|ConditionCheck)Item$|^dynamodb:Query$/.test(action))
            assert(condition['ForAllValues:StringLike']?.['dynamodb:LeadingKeys'], `${id} ${action}`);
        }
      }
    });

    test('R32 the router sees names and rings; delivery moves cursors, and changes no destination', () => {
      const of = (name: string) =>
        statements.filter(({ id, type }) => type === 'AWS::IAM::Policy' && id.startsWith(name));
      const partitions = (name: string, action: string) =>
        of(name)
          .filter(({ actions }) => actions.includes(`dynamodb:${action}`))
          .flatMap(({ condition }) => condition['ForAllValues:StringLike']['dynamodb:LeadingKeys'] as string[]);
      assert.deepEqual(partitions('RouterPolicy', 'Query'), ['siem#destination']);
      assert.deepEqual(partitions('RouterPolicy', 'PutItem'), []);
      assert.deepEqual(
        partitions('DeliverPolicy', 'PutItem').filter((each) => each.startsWith('siem')),
        ['siem#cursor'],
      );
      assert.deepEqual([...partitions('DeliverPolicy', 'UpdateItem')], []);
      const receivers = allowed('sqs:ReceiveMessage').map(({ id }) => id.slice(0, 13));
      assert.deepEqual(receivers, ['DeliverPolicy']);
      const invokers = allowed('lambda:InvokeFunction').filter(({ resources }) =>
        mentions(resources, 'RouterFunction'),
      );
      assert.deepEqual(
        invokers.map(({ id }) => id.slice(0, 12)),
        ['SealerPolicy'],
      );
    });

    test('R08 the gateway holds no key, and of a node it changes neither state nor keys', () => {
      const own = statements.filter(({ id }) => id.startsWith('GatewayTaskRole'));
      assert(own.length > 5);
      for (const { actions, resources } of own) {
        assert.deepEqual(
          actions.filter((action) => /^kms:(Sign|CreateGrant)|^secretsmanager|^s3:Put|^s3:Delete/.test(action)),
          [],
        );
        assert(!mentions(resources, 'AuthorityKey') && !mentions(resources, 'LogKey'));
      }
      const updates = own.filter(
        ({ actions, condition }) => actions.includes('dynamodb:UpdateItem') && mentions(condition, 'node#'),
      );
      assert.equal(updates.length, 1);
      const attributes: string[] = updates[0]?.condition['ForAllValues:StringLike']['dynamodb:Attributes'];
      for (const name of ['state', 'identityKey', 'sealingKey', 'labels', 'name', 'revokedAt'])
        assert(!attributes.includes(name));
      assert(
        !own.some(({ actions, condition }) => actions.includes('dynamodb:PutItem') && mentions(condition, 'node#')),
      );
    });
  });
}

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { normalise, readGolden } from './golden.ts';
import { broadenings } from './permissions.ts';
import { type Properties, profileNames, synthesize, type Templates } from './testing.ts';

for (const profile of profileNames) {
  test(`${profile}: the templates are the reviewed ones, logical ids and all`, () => {
    const actual = normalise(synthesize({ profile }));
    const reviewed = readGolden(profile);
    assert.deepEqual(Object.keys(actual).sort(), Object.keys(reviewed).sort());
    for (const stack of Object.keys(reviewed)) {
      // A logical id that changes is a resource that is deleted and made again, empty.
      const ids = (templates: Templates) => Object.keys(templates[stack]?.Resources ?? {}).sort();
      assert.deepEqual(ids(actual), ids(reviewed), stack);
      assert.deepEqual(actual[stack], reviewed[stack], stack);
    }
    assert.deepEqual(broadenings(reviewed, actual), []);
  });
}

describe('a change that broadens permissions is refused by the gate', () => {
  let reviewed: Templates;
  before(() => {
    reviewed = readGolden('standard');
  });

  /** The reviewed templates with one property of one resource changed. */
  function changed(stack: string, id: RegExp, change: (properties: Record<string, Properties>) => void): Templates {
    const copy = structuredClone(reviewed) as Record<
      string,
      { Resources: Record<string, { Properties: Record<string, Properties> }> }
    >;
    const [name, ...more] = Object.keys(copy[stack]?.Resources ?? {}).filter((each) => id.test(each));
    assert(name !== undefined && more.length === 0, `${id}: ${[name, ...more]}`);
    change(copy[stack]!.Resources[name]!.Properties);
    return copy as Templates;
  }

  const cases: readonly (readonly [string, () => Templates, RegExp])[] = [
    [
      'another action in a role',
      () =>
        changed('functions', /^AdminPolicy/, ({ PolicyDocument }) =>
          PolicyDocument!['Statement'][0].Action.push('dynamodb:Scan'),
        ),
      /dynamodb:Scan/,
    ],
    [
      'another statement in a role',
      () =>
        changed('edge', /^GatewayTaskRoleDefaultPolicy/, ({ PolicyDocument }) =>
          PolicyDocument!['Statement'].push({
            Effect: 'Allow',
            Action: 'kms:Sign',
            Resource: 'arn:aws:kms:us-east-1:111122223333:key/1',
          }),
        ),
      /kms:Sign/,
    ],
    [
      'a condition taken away',
      () =>
        changed('functions', /^SealerPolicy/, ({ PolicyDocument }) => delete PolicyDocument!['Statement'][0].Condition),
      /ConditionCheckItem/,
    ],
    [
      'a managed policy',
      () =>
        changed('keys', /^SealerRole/, (properties) => {
          properties['ManagedPolicyArns'] = ['arn:aws:iam::aws:policy/AdministratorAccess'] as unknown as Properties;
        }),
      /AdministratorAccess/,
    ],
    [
      'a second signer in a key’s policy',
      () =>
        changed('keys', /^LogKey/, ({ KeyPolicy }) => {
          KeyPolicy!['Statement'][1].Principal = { AWS: ['arn:aws:iam::111122223333:role/other'] };
        }),
      /LogKey/,
    ],
    [
      'a denial taken out of a key’s policy',
      () => changed('keys', /^AuthorityKey/, ({ KeyPolicy }) => KeyPolicy!['Statement'].pop()),
      /no longer denies.*CreateGrant/,
    ],
    [
      'the table’s denial taken away',
      () => changed('data', /^Table[0-9A-F]+$/, ({ Replicas }) => delete Replicas![0].ResourcePolicy),
      /denial/,
    ],
    [
      'a port open to the world',
      () =>
        changed('network', /^EdgeGroup[0-9A-F]+$/, ({ SecurityGroupIngress }) =>
          SecurityGroupIngress!['push']({ CidrIp: '0.0.0.0/0', IpProtocol: 'tcp', FromPort: 22, ToPort: 22 }),
        ),
      /"fromPort":22|22/,
    ],
    [
      'who may assume a role',
      () =>
        changed('keys', /^IdentityRole/, ({ AssumeRolePolicyDocument }) =>
          AssumeRolePolicyDocument!['Statement'].push({
            Effect: 'Allow',
            Action: 'sts:AssumeRole',
            Principal: { AWS: 'arn:aws:iam::111122223333:root' },
          }),
        ),
      /sts:AssumeRole/,
    ],
    [
      'who may invoke a function',
      () =>
        ({
          ...reviewed,
          functions: {
            Resources: {
              ...reviewed['functions']?.Resources,
              Anybody: {
                Type: 'AWS::Lambda::Permission',
                Properties: { Action: 'lambda:InvokeFunction', FunctionName: 'identity', Principal: '*' },
              },
            },
          },
        }) satisfies Templates,
      /lambda:InvokeFunction/,
    ],
  ];

  for (const [what, templates, said] of cases) {
    test(what, () => {
      const found = broadenings(reviewed, templates());
      assert(found.length > 0);
      assert.match(found.map((each) => each.what).join('\n'), said);
    });
  }

  test('a right that is taken away is not broader', () => {
    const narrower = changed('functions', /^AdminPolicy/, ({ PolicyDocument }) => PolicyDocument!['Statement'].shift());
    assert.deepEqual(broadenings(reviewed, narrower), []);
  });
});

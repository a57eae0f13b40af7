/**
 * Key policies, written out: what the account may do with a key without using it, and who alone may use it. CDK's own
 * default gives the account every action, and then any administrator's IAM policy makes a second signer.
 */
import { Aws } from 'aws-cdk-lib';
import {
  AccountRootPrincipal,
  AnyPrincipal,
  Effect,
  type IRole,
  PolicyDocument,
  PolicyStatement,
  ServicePrincipal,
} from 'aws-cdk-lib/aws-iam';

/** AWS KMS Developer Guide, "Default key policy", without its wildcards and without grants, which would be a second door. */
const administration = [
  'kms:CancelKeyDeletion',
  'kms:DescribeKey',
  'kms:DisableKey',
  'kms:EnableKey',
  'kms:GetKeyPolicy',
  'kms:ListGrants',
  'kms:ListKeyPolicies',
  'kms:ListResourceTags',
  'kms:PutKeyPolicy',
  'kms:RevokeGrant',
  'kms:ScheduleKeyDeletion',
  'kms:TagResource',
  'kms:UntagResource',
  'kms:UpdateKeyDescription',
];

const rotation = ['kms:DisableKeyRotation', 'kms:EnableKeyRotation', 'kms:GetKeyRotationStatus'];

/** What using a symmetric key takes; CreateGrant only for AWS services, which keep tables and queues encrypted with it. */
const dataUse = [
  'kms:Decrypt',
  'kms:DescribeKey',
  'kms:Encrypt',
  'kms:GenerateDataKey',
  'kms:GenerateDataKeyWithoutPlaintext',
  'kms:ReEncryptFrom',
  'kms:ReEncryptTo',
];

/** In a key policy, `*` as the resource is this key. */
const thisKey = ['*'];

const administrationStatement = (actions: readonly string[]) =>
  new PolicyStatement({
    sid: 'Administration',
    principals: [new AccountRootPrincipal()],
    actions: [...actions],
    resources: thisKey,
  });

/** One role signs, with one algorithm, over whole messages; for everybody else it is denied, whatever IAM says. */
export function signingKeyPolicy(props: { readonly signer: IRole; readonly algorithm: string }): PolicyDocument {
  const { signer, algorithm } = props;
  return new PolicyDocument({
    statements: [
      administrationStatement([...administration, 'kms:GetPublicKey']),
      new PolicyStatement({
        sid: 'TheSigner',
        principals: [signer],
        actions: ['kms:Sign'],
        resources: thisKey,
        conditions: { StringEquals: { 'kms:SigningAlgorithm': algorithm, 'kms:MessageType': 'RAW' } },
      }),
      new PolicyStatement({
        sid: 'NobodyElseSigns',
        effect: Effect.DENY,
        principals: [new AnyPrincipal()],
        actions: ['kms:Sign'],
        resources: thisKey,
        conditions: { StringNotEquals: { 'aws:PrincipalArn': signer.roleArn } },
      }),
      new PolicyStatement({
        sid: 'NoGrants',
        effect: Effect.DENY,
        principals: [new AnyPrincipal()],
        actions: ['kms:CreateGrant'],
        resources: thisKey,
      }),
    ],
  });
}

/** Encrypts what AWS services store for us; IAM says who, and the services named here may for alarms, logs and queues. */
export function dataKeyPolicy(props: { readonly region: string }): PolicyDocument {
  const account = { StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID } };
  return new PolicyDocument({
    statements: [
      administrationStatement([...administration, ...rotation, ...dataUse]),
      new PolicyStatement({
        sid: 'GrantsForServices',
        principals: [new AccountRootPrincipal()],
        actions: ['kms:CreateGrant'],
        resources: thisKey,
        conditions: { Bool: { 'kms:GrantIsForAWSResource': 'true' } },
      }),
      new PolicyStatement({
        sid: 'Logs',
        principals: [new ServicePrincipal(`logs.${props.region}.amazonaws.com`)],
        actions: dataUse,
        resources: thisKey,
        conditions: {
          ArnLike: {
            'kms:EncryptionContext:aws:logs:arn': `arn:${Aws.PARTITION}:logs:${props.region}:${Aws.ACCOUNT_ID}:*`,
          },
        },
      }),
      new PolicyStatement({
        sid: 'AlarmsAndSchedules',
        principals: [new ServicePrincipal('cloudwatch.amazonaws.com'), new ServicePrincipal('events.amazonaws.com')],
        actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
        resources: thisKey,
        conditions: account,
      }),
    ],
  });
}

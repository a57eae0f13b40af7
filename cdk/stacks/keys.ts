/**
 * The keys, and the roles that may use them. Stateful: a lost key is a lost fleet. The roles stand here because a key's
 * policy names its one signer; what else a role may do is said where its function is.
 */
import { RemovalPolicy } from 'aws-cdk-lib';
import { type IRole, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Key, KeySpec, KeyUsage } from 'aws-cdk-lib/aws-kms';
import { CodeSigningConfig, type ICodeSigningConfig, UntrustedArtifactOnDeployment } from 'aws-cdk-lib/aws-lambda';
import { Platform, SigningProfile } from 'aws-cdk-lib/aws-signer';
import type { Construct } from 'constructs';
import type { DeploymentConfig } from '../config.ts';
import { dataKeyPolicy, signingKeyPolicy } from '../constructs/key-policy.ts';
import { FleetStack } from './stack.ts';

export class KeysStack extends FleetStack {
  readonly identityRole: IRole;
  readonly adminRole: IRole;
  readonly sealerRole: IRole;
  readonly secretsRole: IRole;
  readonly routerRole: IRole;
  readonly deliverRole: IRole;
  /** Signs node and gateway certificates; the identity role alone. */
  readonly authorityKey: Key;
  /** Signs checkpoints of the audit log; the sealer's role alone. */
  readonly logKey: Key;
  /** Encrypts the table, buckets, queues, logs and function environments. */
  readonly dataKey: Key;
  readonly codeSigning: ICodeSigningConfig;

  constructor(scope: Construct, id: string, { config }: { readonly config: DeploymentConfig }) {
    super(scope, id, { config, description: `Holdfast ${config.fleet}: keys and who may use them` });
    this.identityRole = this.functionRole('Identity', 'Enrolls nodes; the only user of the fleet CA key');
    this.adminRole = this.functionRole('Admin', 'The admin API');
    this.sealerRole = this.functionRole('Sealer', 'Seals the audit log; the only user of the log key');
    this.secretsRole = this.functionRole('Secrets', 'Seals secrets to nodes; the only reader of their values');

    this.routerRole = this.functionRole('Router', 'Rings for destinations of the audit log');
    this.deliverRole = this.functionRole('Deliver', 'Delivers the audit log to destinations');

    this.authorityKey = this.key('AuthorityKey', {
      description: 'fleet CA',
      keySpec: KeySpec.ECC_NIST_P256,
      keyUsage: KeyUsage.SIGN_VERIFY,
      policy: signingKeyPolicy({ signer: this.identityRole, algorithm: 'ECDSA_SHA_256' }),
    });
    this.logKey = this.key('LogKey', {
      description: 'audit log checkpoints',
      keySpec: KeySpec.ECC_NIST_EDWARDS25519,
      keyUsage: KeyUsage.SIGN_VERIFY,
      policy: signingKeyPolicy({ signer: this.sealerRole, algorithm: 'ED25519_SHA_512' }),
    });
    this.dataKey = this.key('DataKey', {
      description: 'data at rest',
      enableKeyRotation: true,
      policy: dataKeyPolicy({ region: config.region }),
    });

    this.codeSigning = new CodeSigningConfig(this, 'CodeSigning', {
      description: `Holdfast ${config.fleet}: only code signed with our profile is deployed`,
      signingProfiles: [
        new SigningProfile(this, 'CodeSigningProfile', {
          platform: Platform.AWS_LAMBDA_SHA384_ECDSA,
          // AWS Signer API reference, PutSigningProfile: letters, digits and underscores.
          signingProfileName: signingProfileName(config),
        }),
      ],
      untrustedArtifactOnDeployment: UntrustedArtifactOnDeployment.ENFORCE,
    });
  }

  private functionRole(id: string, description: string): IRole {
    const role = new Role(this, `${id}Role`, {
      assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
      description: `Holdfast ${this.config.fleet}: ${description}`,
    });
    role.applyRemovalPolicy(RemovalPolicy.RETAIN);
    // Constructs that are given this role must not write into it from other stacks; its rights are listed, by action.
    return role.withoutPolicyUpdates();
  }

  private key(id: string, props: ConstructorParameters<typeof Key>[2]): Key {
    return new Key(this, id, {
      ...props,
      description: `Holdfast ${this.config.fleet}: ${props?.description}`,
      removalPolicy: RemovalPolicy.RETAIN,
    });
  }
}

/** The profile that `npm run deploy` signs the functions' code with. */
export function signingProfileName(config: Pick<DeploymentConfig, 'fleet'>): string {
  return `holdfast_${config.fleet.replaceAll('-', '_')}`;
}

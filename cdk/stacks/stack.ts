/** What all stacks of a deployment share: named after the fleet, protected against deletion, in zones that are named. */
import { Stack } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import type { DeploymentConfig } from '../config.ts';

export type FleetStackProps = {
  readonly config: DeploymentConfig;
  /** One sentence for whoever meets the stack in the console. */
  readonly description: string;
};

/** A stack of a fleet. Its zones are the configured ones, so that a synthesis asks nobody. */
export class FleetStack extends Stack {
  protected readonly config: DeploymentConfig;

  constructor(scope: Construct, id: string, { config, description }: FleetStackProps) {
    super(scope, id, {
      stackName: `${config.fleet}-${id}`,
      description,
      env: { region: config.region, ...(config.account !== undefined && { account: config.account }) },
      terminationProtection: true,
      tags: { 'holdfast:fleet': config.fleet },
    });
    this.config = config;
  }

  override get availabilityZones(): string[] {
    return [...this.config.zones];
  }
}

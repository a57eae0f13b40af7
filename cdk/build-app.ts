/** The whole deployment as a tree of constructs, for the CDK command and for the tests. Asks nothing of Docker, AWS or the network. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import { acknowledge } from './acknowledgements.ts';
import { type DeploymentConfig, parseContext } from './config.ts';
import { takeRelease } from './release.ts';
import { DataStack } from './stacks/data.ts';
import { EdgeStack } from './stacks/edge.ts';
import { FunctionsStack } from './stacks/functions.ts';
import { KeysStack } from './stacks/keys.ts';
import { NetworkStack } from './stacks/network.ts';

export type BuildOptions = {
  /** Where `npm run build` puts the programs. Not looked at when the context names a release. */
  readonly bundles: string;
  /** Besides what the CDK command gives by itself. */
  readonly context?: { readonly [key: string]: unknown };
  readonly outdir?: string;
};

export type Stacks = {
  readonly keys: KeysStack;
  readonly data: DataStack;
  readonly network: NetworkStack;
  readonly functions: FunctionsStack;
  readonly edge: EdgeStack;
};

export type Deployment = { readonly app: App; readonly config: DeploymentConfig; readonly stacks: Stacks };

/**
 * Throws `DeploymentConfigError` for a bad context, `MissingBundleError` for a program that was not built and
 * `ReleaseError` for a release that does not prove itself.
 */
export function buildApp(options: BuildOptions): Deployment {
  const deployment = buildUnacknowledged(options);
  acknowledge(deployment.stacks, deployment.config);
  return deployment;
}

/** For the test that asks which findings there are. It does not synthesize: the rule packs are in it. */
export function buildUnacknowledged({ bundles, context = {}, outdir }: BuildOptions): Deployment {
  const app = new App({ context: { ...context }, analyticsReporting: false, ...(outdir !== undefined && { outdir }) });
  const config = parseContext(app.node.getAllContext());
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app, { verbose: true }));
  if (config.release === undefined) return { app, config, stacks: buildStacks(app, config, bundles) };

  // The stacks take their copy of the programs while they are built.
  const taken = mkdtempSync(join(tmpdir(), 'holdfast-release-'));
  try {
    takeRelease(config.release, taken, Date.now());
    return { app, config, stacks: buildStacks(app, config, taken) };
  } finally {
    rmSync(taken, { recursive: true, force: true });
  }
}

function buildStacks(app: App, config: DeploymentConfig, bundles: string): Stacks {
  const keys = new KeysStack(app, 'keys', { config });
  const data = new DataStack(app, 'data', { config, keys });
  const network = new NetworkStack(app, 'network', { config, keys, data });
  const functions = new FunctionsStack(app, 'functions', { config, keys, data, network, bundles });
  const edge = new EdgeStack(app, 'edge', { config, keys, data, network, functions, bundles });
  return { keys, data, network, functions, edge };
}

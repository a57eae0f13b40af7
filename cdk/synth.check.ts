import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { acknowledgements } from './acknowledgements.ts';
import { buildApp, buildUnacknowledged } from './build-app.ts';
import { bundlePath } from './constructs/bundles.ts';
import { build, featureFlags, profileNames, readTemplates, temporaryDirectory, writePlaceholders } from './testing.ts';

/** Everything that a deployment would use, by name. Reports of the synthesis itself, which name files, are none of it. */
function assembly(directory: string): Map<string, string> {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    files
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path): [string, string] => [path.slice(directory.length + 1), readFileSync(path, 'latin1')])
      .filter(([name]) => !/^(tree|validation-report)\.json$|\.metadata\.json$/.test(name))
      .sort(),
  );
}

for (const profile of profileNames) {
  test(`${profile}: without environment, network, Docker and AWS, clean under every rule, and byte for byte the same twice`, () => {
    const { path, remove } = temporaryDirectory();
    try {
      const bundles = writePlaceholders(join(path, 'bundles'));
      const code = `
        import { readFileSync } from 'node:fs';
        const { buildApp } = await import(${JSON.stringify(pathToFileURL(join(import.meta.dirname, 'build-app.ts')).href)});
        const context = { ...${JSON.stringify(featureFlags())}, profile: ${JSON.stringify(profile)} };
        buildApp({ bundles: ${JSON.stringify(bundles)}, outdir: process.argv[1], context }).app.synth();
      `;
      const runs = ['first', 'second'].map((name) => {
        const outdir = join(path, name);
        const preload = pathToFileURL(join(import.meta.dirname, 'offline.mjs')).href;
        const { status, stdout, stderr } = spawnSync(
          process.execPath,
          ['--import', preload, '--input-type=module', '--eval', code, outdir],
          { env: {}, encoding: 'utf8', cwd: path },
        );
        // Also a warning is output.
        assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: '', stderr: '' });
        return assembly(outdir);
      });
      assert((runs[0]?.size ?? 0) >= 11);
      assert.deepEqual(runs[0], runs[1]);
    } finally {
      remove();
    }
  });
}

test('a program that was not built is named, with what to do', () => {
  const { path, remove } = temporaryDirectory();
  try {
    const bundles = writePlaceholders(join(path, 'bundles'));
    rmSync(join(bundles, 'sealer'), { recursive: true });
    assert.throws(
      () => buildApp({ bundles, outdir: join(path, 'out'), context: featureFlags() }),
      /the program of sealer was not built: .*\nhint: run npm run build first/,
    );
    assert.throws(() => bundlePath(join(path, 'nowhere'), 'gateway'), /gateway was not built/);
  } finally {
    remove();
  }
});

const existing = {
  profile: 'standard',
  fleet: 'acme-eu',
  domain: 'fleet.example.org',
  certificate: 'arn:aws:acm:us-east-1:111122223333:certificate/0123-ab',
  gatewayDomain: 'gateway.example.org',
  vpcId: 'vpc-0123abcd',
  vpcCidr: '10.0.0.0/16',
  vpcPublicSubnets: 'subnet-00000001,subnet-00000002,subnet-00000003',
  vpcIsolatedSubnets: 'subnet-00000004,subnet-00000005,subnet-00000006',
  alarmEmail: 'ops@example.org',
  anchorBucket: 'anchors-elsewhere',
  image: 'build',
};

test('every context key at once is clean as well', () => {
  const { path, remove } = temporaryDirectory();
  try {
    build(path, existing).app.synth();
    const templates = readTemplates(join(path, 'out'));
    const text = JSON.stringify(templates);
    for (const value of [
      existing.domain,
      'gateway.example.org:443',
      existing.vpcId,
      existing.alarmEmail,
      existing.anchorBucket,
    ])
      assert(text.includes(value), value);
    assert(!text.includes('AWS::EC2::VPC"'));
    assert(text.includes('"DisableExecuteApiEndpoint":true'));
  } finally {
    remove();
  }
});

for (const context of [{ profile: 'small' }, { profile: 'standard' }, existing] as const) {
  test(`the acknowledgements of ${'fleet' in context ? 'an existing network' : context.profile} are the findings, no more and no fewer`, () => {
    const { path, remove } = temporaryDirectory();
    try {
      const bundles = writePlaceholders(join(path, 'bundles'));
      const outdir = join(path, 'out');
      const { app, config, stacks } = buildUnacknowledged({
        bundles,
        outdir,
        context: { ...featureFlags(), ...context },
      });
      const given = Object.entries(acknowledgements(stacks, config)).flatMap(([stack, list]) =>
        list.map(({ path: below, finding, reason }) => {
          assert(reason.length > 20 && reason.endsWith('.'), reason);
          return `${[stack, ...below].join('/')}: ${finding.replace(/^.*::(?=[A-Z]\d+$)/, '')}`;
        }),
      );
      assert.throws(() => app.synth(), /Validation failed|errors/);
      const found = findings(JSON.parse(readFileSync(join(outdir, 'validation-report.json'), 'utf8')));
      assert.deepEqual([...new Set(found)].sort(), given.sort());
    } finally {
      remove();
    }
  });
}

type Report = {
  readonly pluginReports: readonly {
    readonly violations: readonly {
      readonly ruleName: string;
      readonly violatingConstructs: readonly { readonly constructPath?: string }[];
    }[];
  }[];
};

/** The construct that was written, not the resource that CDK made of it. */
function findings({ pluginReports }: Report): string[] {
  return pluginReports.flatMap(({ violations }) =>
    violations.flatMap(({ ruleName, violatingConstructs }) =>
      violatingConstructs.map(
        ({ constructPath = '' }) =>
          `${constructPath.replace(/\/(Resource|Subnet)$/, '')}: ${ruleName.replace(/^Annotation::/, '')}`,
      ),
    ),
  );
}

/**
 * Inside the throw-away root: the example of a web server, on the whole way that policy goes: the directory is checked,
 * built, signed, verified as on a node, judged by the guardrails of the node, and applied to the machine's own tools.
 */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { runResources } from '../../agent/engine.ts';
import { executors } from '../../agent/executors/registry.ts';
import { allOf, protectTrees, systemTrees } from '../../agent/guard.ts';
import { createLocalHost } from '../../agent/local-host.ts';
import { memoryNotifications } from '../../agent/notifications.ts';
import { prepareResources } from '../../agent/resources.ts';
import { protectByRules } from '../../agent/rules-guard.ts';
import { buildRelease } from '../../lib/policy/build.ts';
import { checkPolicy } from '../../lib/policy/check.ts';
import { loadPolicyDirectory } from '../../lib/policy/directory.ts';
import { noPrevious } from '../../lib/policy/names.ts';
import { formatProblem } from '../../lib/policy/problem.ts';
import { verifyRelease } from '../../lib/policy/verify.ts';
import { facts } from '../fakes/agent.ts';
import { createOperator, day, noon } from '../fakes/policy.ts';

type Shell = (script: string) => string;

const node = { uuid: '6b1f0a52-8f0e-4c57-9d3c-2f5f1f0c9a11', name: 'web-1', labels: { role: 'web' } };

/** What the machine's own tools say when everything is as declared. */
const proofs: readonly (readonly [string, RegExp])[] = [
  [
    'sshd -T | grep -E "^(permitrootlogin|passwordauthentication|maxauthtries)"',
    /maxauthtries 3\npermitrootlogin no\npasswordauthentication no/,
  ],
  ['ssh-keyscan -t ed25519 127.0.0.1 2>/dev/null', /ssh-ed25519 /],
  ['id -nG alice; id -nG bob', /^alice ops\nbob ops\n$/],
  ['stat -c "%a %U" /home/alice/.ssh/authorized_keys', /^600 alice\n$/],
  ['ssh-keygen -lf /home/bob/.ssh/authorized_keys', /ED25519/],
  ['visudo -cq; stat -c %a /etc/sudoers.d/ops', /^440\n$/],
  ['cat /proc/sys/net/ipv4/conf/all/accept_redirects', /^0\n$/],
  ['nginx -t 2>&1', /test is successful/],
  [
    'printf "GET / HTTP/1.0\\r\\nHost: www.example.org\\r\\n\\r\\n" | perl -MIO::Socket::INET -e \'$s = IO::Socket::INET->new("127.0.0.1:80") or die; print $s <STDIN>; shutdown $s, 1; print <$s>\'',
    /www\.example\.org is served by web-1/,
  ],
];

/** How somebody with a shell would take the machine away from it. */
const drift = `
echo 'PermitRootLogin yes' > /etc/ssh/sshd_config.d/10-hardening.conf
echo 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH evil' > /home/bob/.ssh/authorized_keys
gpasswd -d alice ops > /dev/null
chmod 640 /etc/sudoers.d/ops
echo 1 > /proc/sys/net/ipv4/conf/all/accept_redirects
echo '<h1>evil</h1>' > /var/www/site/index.html
rm /etc/nginx/sites-enabled/site
service nginx stop > /dev/null
`;

export async function applyExample(sh: Shell): Promise<void> {
  const directory = await loadPolicyDirectory(
    fileURLToPath(new URL('../../examples/web-server', import.meta.url)),
    executors,
  );
  assert.deepEqual(checkPolicy(directory).map(formatProblem), []);
  const times = { created: noon, expires: noon + day };
  const built = buildRelease({ directory, fleet: 'demo', number: 1, previous: noPrevious, ...times });
  const operator = createOperator();
  const release = verifyRelease({
    manifest: built.manifest,
    signatures: [operator.sign(built.manifest)],
    trust: { fleet: 'demo', operators: { threshold: 1, keys: [operator.line] } },
    now: noon,
  });
  const bytes = async (sha256: string) => {
    const found = built.blobs.get(sha256);
    if (found === undefined) throw new Error(`no blob ${sha256}`);
    return found;
  };
  const { resources, blob } = await prepareResources(release, {
    node,
    blob: bytes,
    facts: async () => facts,
  });
  const notifications = memoryNotifications();
  const apply = async (what: string) => {
    const deps = {
      executors,
      host: createLocalHost(),
      guard: allOf(protectTrees(systemTrees), protectByRules()),
      notifications,
      blob,
      now: () => 0,
      deadline: () => new AbortController().signal,
    };
    const outcomes = await runResources(deps, resources, { dryRun: false });
    const bad = outcomes.filter(({ result }) => result === 'failed' || result === 'blocked');
    assert.deepEqual(bad, [], what);
    const changed = outcomes.filter(({ result }) => result !== 'unchanged');
    console.log(`example: ${what}: ${changed.length} of ${outcomes.length} resources changed`);
    return changed;
  };
  const prove = (when: string) => {
    for (const [script, wanted] of proofs) assert.match(sh(script), wanted, `${when}: ${script}`);
  };

  assert.notDeepEqual(await apply('applied'), []);
  prove('after the first run');
  assert.deepEqual(await apply('applied again'), []);
  sh(drift);
  const restored = (await apply('restored')).map(({ resource }) => resource);
  for (const wanted of [
    '10-hardening.conf',
    'user/alice',
    'authorized_key/bob',
    'sudoers.d/ops',
    'accept_redirects',
    'index.html',
    'sites-enabled/site',
    'service/nginx',
  ])
    assert.ok(
      restored.some((one) => one.includes(wanted)),
      `the drift of ${wanted} was restored`,
    );
  prove('after the restoration');
  assert.deepEqual(await apply('applied again'), []);
  console.log(`OK: the example of a web server, ${resources.length} resources`);
}

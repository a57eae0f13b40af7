/** The policy of the demonstration: small, real, and confined to a directory of the state directory. */
import { access, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export type DemoPolicy = {
  readonly directory: string;
  /** What a node has once it converged; it stands in for the file system of a machine. */
  readonly files: readonly string[];
  /** The file that the demonstration damages. */
  readonly driftPath: string;
};

/** Writes the policy directory for nodes whose files are to lie below `root`, unless there is one: it may have been edited. */
export async function writeDemoPolicy(directory: string, root: string): Promise<DemoPolicy> {
  const [motd, settings, link] = ['motd', 'app.conf', 'current.conf'].map((name) => join(root, 'etc', name)) as [
    string,
    string,
    string,
  ];
  const policy = { directory, files: [motd, settings, link], driftPath: settings };
  if (await exists(join(directory, 'holdfast.yaml'))) return policy;
  await mkdir(join(directory, 'crates', 'welcome', 'files'), { recursive: true });
  await writeFile(
    join(directory, 'crates', 'welcome', 'crate.yaml'),
    `crate: welcome
resources:
  - directory:
      path: ${JSON.stringify(join(root, 'etc'))}
      mode: "0755"
  - file:
      path: ${JSON.stringify(motd)}
      source: files/motd
      mode: "0644"
  - file:
      path: ${JSON.stringify(settings)}
      content: |
        listen = 127.0.0.1
        workers = 4
      mode: "0640"
  - symlink:
      path: ${JSON.stringify(link)}
      target: app.conf
`,
  );
  await writeFile(
    join(directory, 'crates', 'welcome', 'files', 'motd'),
    'This machine is held to a policy that its operators signed.\n',
  );
  // Last, because it says that the directory is whole.
  await writeFile(
    join(directory, 'holdfast.yaml'),
    `# Which nodes get which crates. Labels come from the enrollment token, never from the node.
bindings:
  - match: { labels: { role: demo } }
    crates: [welcome]
`,
  );
  return policy;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** The files that name a repository to each package manager: its key, and its entry in the list of repositories. */
import type { PackageTool } from './detect.ts';

export type RepositoryFields = {
  readonly name: string;
  readonly state: 'present' | 'absent';
  readonly uri?: string | undefined;
  readonly suites?: readonly string[] | undefined;
  readonly components?: readonly string[] | undefined;
  readonly architectures?: readonly string[] | undefined;
  readonly key?: string | undefined;
  readonly key_path?: string | undefined;
};

/** `text` is undefined for a file that isn't to be there. */
export type RepositoryFile = {
  readonly path: string;
  readonly what: 'key' | 'entry';
  readonly text: string | undefined;
};

/** The files, the key before the entry that needs it. Undefined for tools whose repositories are kept otherwise. */
export function repositoryFiles(tool: PackageTool, fields: RepositoryFields): readonly RepositoryFile[] | undefined {
  switch (tool) {
    case 'apt':
      return aptFiles(fields);
    case 'dnf':
      return rpmFiles(fields, `/etc/yum.repos.d/${fields.name}.repo`);
    case 'zypper':
      return rpmFiles(fields, `/etc/zypp/repos.d/${fields.name}.repo`);
    case 'apk':
      return apkFiles(fields);
    case 'pacman':
    case 'brew':
      return undefined;
    default:
      return tool satisfies never;
  }
}

const header = '# Kept by Holdfast: changes by hand are undone.\n';

/** deb822 style, sources.list(5). `Signed-By` names the one key that this repository's index must be signed with. */
function aptFiles(fields: RepositoryFields): readonly RepositoryFile[] {
  const keyPath = `/etc/apt/keyrings/${fields.name}.asc`;
  const lines: readonly (readonly [string, string | undefined])[] = [
    ['Types', 'deb'],
    ['URIs', fields.uri],
    ['Suites', (fields.suites ?? ['./']).join(' ')],
    // A suite that is a path has no components: sources.list(5).
    ['Components', fields.components?.join(' ')],
    ['Architectures', fields.architectures?.join(' ')],
    ['Signed-By', fields.key_path ?? keyPath],
  ];
  const entry = lines.flatMap(([name, value]) => (value === undefined || value === '' ? [] : [`${name}: ${value}\n`]));
  return [
    { path: keyPath, what: 'key', text: keyText(fields) },
    { path: `/etc/apt/sources.list.d/${fields.name}.sources`, what: 'entry', text: `${header}${entry.join('')}` },
  ];
}

/** dnf.conf(5) and zypper(8) read the same format. The index must be signed too, not the packages alone. */
function rpmFiles(fields: RepositoryFields, path: string): readonly RepositoryFile[] {
  const keyPath = `/etc/pki/rpm-gpg/RPM-GPG-KEY-${fields.name}`;
  const lines = [
    `[${fields.name}]`,
    `name=${fields.name}`,
    `baseurl=${fields.uri ?? ''}`,
    'enabled=1',
    'gpgcheck=1',
    'repo_gpgcheck=1',
    `gpgkey=file://${fields.key_path ?? keyPath}`,
  ];
  return [
    { path: keyPath, what: 'key', text: keyText(fields) },
    { path, what: 'entry', text: `${header}${lines.join('\n')}\n` },
  ];
}

/** apk(8) takes every key of its directory, and reads every list of `repositories.d`. */
function apkFiles(fields: RepositoryFields): readonly RepositoryFile[] {
  const keyPath = `/etc/apk/keys/${fields.name}.rsa.pub`;
  return [
    { path: keyPath, what: 'key', text: keyText(fields) },
    { path: `/etc/apk/repositories.d/${fields.name}.list`, what: 'entry', text: `${header}${fields.uri ?? ''}\n` },
  ];
}

/** With `key_path` the key is somebody else's file. */
function keyText(fields: RepositoryFields): string | undefined {
  const { key } = fields;
  return key === undefined ? undefined : key.endsWith('\n') ? key : `${key}\n`;
}

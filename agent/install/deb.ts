/** The Debian package of the one-file agent (deb(5)): the program, its manifest and its unit. The same build gives the same package. */
import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { formatAr, formatTar, type TarMember } from './archives.ts';
import { program, stateDirectory, units } from './units.ts';

export type DebInput = {
  readonly version: string;
  /** As Debian names it: `amd64`, `arm64`. */
  readonly architecture: string;
  readonly program: Uint8Array;
  /** The signed note. */
  readonly manifest: Uint8Array;
  readonly license: Uint8Array;
};

const unitPath = './usr/lib/systemd/system/holdfast-agent.service';

const postinst = `#!/bin/sh
set -e
if [ "$1" = configure ] && [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	systemctl enable holdfast-agent.service >/dev/null
	systemctl restart holdfast-agent.service
fi
`;

const prerm = `#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
	systemctl disable --now holdfast-agent.service >/dev/null
fi
`;

/** Builds that came by self-update are the agent's, so they go with it; the node's state stays until a purge. */
const postrm = `#!/bin/sh
set -e
if [ "$1" = remove ] || [ "$1" = purge ]; then
	rm -rf /opt/holdfast-agent/slots /opt/holdfast-agent/update.json
	rmdir --ignore-fail-on-non-empty /opt/holdfast-agent 2>/dev/null || true
fi
if [ "$1" = purge ]; then
	rm -rf ${stateDirectory}
fi
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
fi
`;

export function formatDeb({ version, architecture, program: bytes, manifest, license }: DebInput): Buffer {
  const text = (content: string) => Buffer.from(content);
  const files: TarMember[] = [
    { kind: 'directory', path: './' },
    { kind: 'directory', path: './opt/' },
    { kind: 'directory', path: './opt/holdfast-agent/' },
    { kind: 'file', path: `.${program}`, mode: 0o755, bytes },
    { kind: 'file', path: `.${program}.manifest`, mode: 0o644, bytes: manifest },
    { kind: 'directory', path: './usr/' },
    { kind: 'directory', path: './usr/bin/' },
    { kind: 'link', path: './usr/bin/holdfast-agent', to: program },
    { kind: 'directory', path: './usr/lib/' },
    { kind: 'directory', path: './usr/lib/systemd/' },
    { kind: 'directory', path: './usr/lib/systemd/system/' },
    { kind: 'file', path: unitPath, mode: 0o644, bytes: text(units.systemd.text) },
    { kind: 'directory', path: './usr/share/' },
    { kind: 'directory', path: './usr/share/doc/' },
    { kind: 'directory', path: './usr/share/doc/holdfast-agent/' },
    { kind: 'file', path: './usr/share/doc/holdfast-agent/copyright', mode: 0o644, bytes: license },
  ];
  const sums = files.flatMap((member) =>
    member.kind === 'file'
      ? [`${createHash('md5').update(member.bytes).digest('hex')}  ${member.path.slice(2)}\n`]
      : [],
  );
  const script = (name: string, content: string): TarMember => ({
    kind: 'file',
    path: `./${name}`,
    mode: 0o755,
    bytes: text(content),
  });
  const control: TarMember[] = [
    { kind: 'directory', path: './' },
    { kind: 'file', path: './control', mode: 0o644, bytes: text(controlFile(version, architecture, files)) },
    { kind: 'file', path: './md5sums', mode: 0o644, bytes: text(sums.join('')) },
    script('postinst', postinst),
    script('prerm', prerm),
    script('postrm', postrm),
  ];
  return formatAr([
    { name: 'debian-binary', bytes: text('2.0\n') },
    { name: 'control.tar.gz', bytes: compress(formatTar(control)) },
    { name: 'data.tar.gz', bytes: compress(formatTar(files)) },
  ]);
}

/** A pre-release sorts before its release, which Debian says with a tilde. */
function controlFile(version: string, architecture: string, files: readonly TarMember[]): string {
  const bytes = files.reduce((sum, member) => sum + (member.kind === 'file' ? member.bytes.length : 0), 0);
  return `Package: holdfast-agent
Version: ${version.replace('-', '~')}
Architecture: ${architecture}
Maintainer: Holdfast maintainers <holdfast@localhost>
Installed-Size: ${Math.ceil(bytes / 1024)}
Depends: libc6 (>= 2.28), libstdc++6
Section: admin
Priority: optional
Description: Holdfast agent
 Holds this machine to the policy that its fleet's operators signed.
 One file with everything that it needs; updates itself to signed builds.
`;
}

/** Node writes no time into a gzip header. The byte that names the system is set, because builds must not differ by it. */
function compress(bytes: Uint8Array): Buffer {
  const compressed = gzipSync(bytes, { level: 9 });
  compressed[9] = 3;
  return compressed;
}

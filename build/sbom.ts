/** The software bill of materials, CycloneDX 1.6 in JSON, from the lockfile alone: what it pins is what is bundled. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Locked {
  readonly version?: string;
  readonly integrity?: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
}

/** The same lockfile and version give the same bytes: no time, no serial number. */
export function sbomOf(root: string, version: string): string {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, Locked>;
  };
  const components = new Map<string, object>();
  for (const [path, locked] of Object.entries(packages)) {
    if (path === '' || locked.dev === true || locked.devOptional === true || locked.version === undefined) continue;
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    const purl = `pkg:npm/${name.replace('@', '%40')}@${locked.version}`;
    components.set(purl, {
      type: 'library',
      'bom-ref': purl,
      name,
      version: locked.version,
      purl,
      ...(locked.integrity === undefined ? {} : { hashes: [hashOf(locked.integrity)] }),
      ...(locked.license === undefined ? {} : { licenses: [{ license: { name: locked.license } }] }),
    });
  }
  const bom = {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: { component: { type: 'application', 'bom-ref': 'holdfast', name: 'holdfast', version } },
    components: [...components].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, component]) => component),
  };
  return `${JSON.stringify(bom, null, 2)}\n`;
}

/** `sha512-base64`, as Subresource Integrity writes it. */
function hashOf(integrity: string): { readonly alg: string; readonly content: string } {
  const [algorithm = '', digest = ''] = integrity.split('-');
  return { alg: algorithm.replace('sha', 'SHA-'), content: Buffer.from(digest, 'base64').toString('hex') };
}

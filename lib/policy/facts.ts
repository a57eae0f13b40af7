/**
 * Facts: what a node found out about its own machine, as `when` and templates see it. One schema for the agent that
 * collects them, for the check of expressions, and for the documentation. Facts only narrow what a release gives a
 * node; they never decide which crates it gets. Nothing here changes from one minute to the next (free memory, load,
 * the hour), so that equal machines have equal bytes and a template never drifts by itself.
 */
import { z } from 'zod';

/** Bounds of every list and text: a machine with ten thousand interfaces must not make a report of megabytes. */
export const maxFactItems = 200;
export const maxFactsBytes = 64 * 1024;

const text = (about: string) => z.string().max(256).describe(about);
const count = (about: string) => z.int().min(0).describe(about);
const flag = (about: string) => z.boolean().describe(about);

const os = z
  .strictObject({
    kind: z.enum(['linux', 'darwin', 'other']).describe('the system that the kernel belongs to'),
    family: z
      .enum(['debian', 'rhel', 'alpine', 'suse', 'arch', 'darwin', 'other'])
      .describe('distributions that are managed alike'),
    id: text('the distribution, as `ID` of os-release: debian, ubuntu, rocky'),
    version: text('its version, as `VERSION_ID`: 12, 24.04; empty when it has none'),
    codename: text('its code name, as `VERSION_CODENAME`; may be empty'),
    name: text('its full name, for people'),
  })
  .describe('the operating system');

const kernel = z
  .strictObject({
    release: text('as `uname -r`'),
    arch: z.enum(['x64', 'arm64', 'arm', 'ia32', 'riscv64', 'ppc64', 's390x', 'other']).describe('of the processor'),
  })
  .describe('the kernel');

const cpu = z
  .strictObject({ count: count('logical processors that are online'), model: text('of the first one') })
  .describe('processors');

const memory = z
  .strictObject({ bytes: count('memory in all'), swapBytes: count('swap in all') })
  .describe('memory, not how much of it is free');

const disk = z.strictObject({
  name: text('device name: sda, nvme0n1'),
  bytes: count('size'),
  rotational: flag('a disk that turns'),
});
const filesystem = z.strictObject({
  path: text('where it is mounted'),
  device: text('what is mounted'),
  type: text('ext4, xfs, …'),
});

const disks = z
  .strictObject({
    devices: z.array(disk).max(maxFactItems).describe('block devices, without partitions and loop devices'),
    filesystems: z.array(filesystem).max(maxFactItems).describe('mounted file systems that are on a device'),
  })
  .describe('disks and what is mounted from them');

const networkInterface = z.strictObject({
  name: text('eth0, ens3'),
  mac: text('hardware address'),
  addresses: z.array(z.string().max(64)).max(maxFactItems).describe('addresses with their prefix length'),
});

const network = z
  .strictObject({
    hostname: text('what the machine calls itself now; `node.name` is the name it was enrolled under'),
    domain: text('the part of the host name after its first dot; may be empty'),
    addresses: z.array(z.string().max(64)).max(maxFactItems).describe('all addresses but loopback and link-local'),
    interfaces: z.array(networkInterface).max(maxFactItems).describe('without loopback and those of containers'),
  })
  .describe('the network');

const virtualization = z
  .strictObject({
    kind: z
      .enum(['none', 'kvm', 'vmware', 'hyperv', 'xen', 'virtualbox', 'container', 'other'])
      .describe('what the machine runs in'),
    container: flag('the agent runs in a container'),
  })
  .describe('virtualization');

const cloud = z
  .strictObject({
    provider: z
      .enum(['none', 'aws', 'azure', 'gcp', 'digitalocean', 'hetzner', 'oracle', 'openstack', 'alibaba', 'other'])
      .describe('by what the firmware says; no metadata service is asked'),
    instanceType: text('where the firmware tells; may be empty'),
  })
  .describe('the cloud');

const packages = z
  .strictObject({
    manager: z
      .enum(['apt', 'dnf', 'yum', 'apk', 'zypper', 'pacman', 'brew', 'none'])
      .describe('what installs packages'),
  })
  .describe('packages');

const services = z
  .strictObject({
    manager: z.enum(['systemd', 'openrc', 'sysv', 'launchd', 'none']).describe('what runs services'),
  })
  .describe('services');

const users = z
  .strictObject({
    names: z.array(z.string().max(64)).max(maxFactItems).describe('accounts that can log in, sorted'),
  })
  .describe('accounts');

const time = z.strictObject({ zone: text('IANA time zone: Europe/Berlin, Etc/UTC') }).describe('time');

const security = z
  .strictObject({
    tpm: flag('there is a TPM'),
    tpmVersion: text('its major version; empty without one'),
    uefi: flag('booted by UEFI'),
    secureBoot: flag('secure boot is on'),
  })
  .describe('TPM and secure boot');

export const factGroups = {
  os,
  kernel,
  cpu,
  memory,
  disks,
  network,
  virtualization,
  cloud,
  packages,
  services,
  users,
  time,
  security,
} as const;

export type FactGroupName = keyof typeof factGroups;
export type FactGroups = { readonly [Name in FactGroupName]: z.output<(typeof factGroups)[Name]> };

/** What was collected. A group whose collector failed is missing, and named in `missing`. */
export type Facts = Partial<FactGroups> & { readonly missing: readonly FactGroupName[] };

export const factGroupNames = Object.keys(factGroups) as readonly FactGroupName[];

export type FactKind = 'text' | 'number' | 'flag' | 'list' | 'map';

/** One fact that an expression can name. `values` are all that it can have, where that is known. */
export type FactInfo = {
  readonly path: string;
  readonly kind: FactKind;
  readonly about: string;
  readonly values?: readonly string[];
};

/** Every fact by its path below `facts`: `os.family`, and the groups themselves. */
export const factTable: ReadonlyMap<string, FactInfo> = new Map(
  factGroupNames.flatMap((group) => {
    const schema = factGroups[group];
    const members = Object.entries(schema.shape as { readonly [name: string]: z.ZodType });
    return [infoOf(group, schema), ...members.map(([name, member]) => infoOf(`${group}.${name}`, member))].map(
      (info) => [info.path, info] as const,
    );
  }),
);

function infoOf(path: string, schema: z.ZodType): FactInfo {
  const about = schema.description ?? '';
  if (schema instanceof z.ZodEnum) return { path, kind: 'text', about, values: schema.options.map(String) };
  if (schema instanceof z.ZodObject) return { path, kind: 'map', about };
  if (schema instanceof z.ZodArray) return { path, kind: 'list', about };
  if (schema instanceof z.ZodBoolean) return { path, kind: 'flag', about };
  if (schema instanceof z.ZodString) return { path, kind: 'text', about };
  return { path, kind: 'number', about };
}

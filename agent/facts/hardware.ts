/** Facts of the hardware, real or not: processors, memory, disks, network, virtualization, cloud. */
import type { FactGroups } from '../../lib/policy/facts.ts';
import type { Machine } from './machine.ts';

export async function collectCpu({ processors, processorModel }: Machine): Promise<FactGroups['cpu']> {
  return { count: processors, model: processorModel.trim() };
}

export async function collectMemory(machine: Machine): Promise<FactGroups['memory']> {
  const swapKib = /^SwapTotal:\s+(\d+) kB/m.exec(await machine.read('/proc/meminfo'))?.[1];
  return { bytes: machine.memoryBytes, swapBytes: Number(swapKib ?? 0) * 1024 };
}

/** Not disks in any sense that matters to a policy. */
const virtualDevices = /^(?:loop|ram|zram|dm-|md|sr|fd|nbd)/;
/** The size of a block device is in sectors of 512 bytes, whatever its own sectors are (Linux, block/genhd.c). */
const sectorBytes = 512;

export async function collectDisks(machine: Machine): Promise<FactGroups['disks']> {
  const names = (await machine.list('/sys/block')).filter((name) => !virtualDevices.test(name));
  const devices = await Promise.all(
    names.map(async (name) => ({
      name,
      bytes: Number(await machine.read(`/sys/block/${name}/size`)) * sectorBytes,
      rotational: (await machine.read(`/sys/block/${name}/queue/rotational`)) === '1',
    })),
  );
  const seen = new Set<string>();
  const filesystems = (await machine.read('/proc/self/mounts')).split('\n').flatMap((line) => {
    const [device = '', path = '', type = ''] = line.split(' ').map(unescapeMount);
    // One line a file system: containers mount the same one in many places.
    if (!device.startsWith('/dev/') || device.startsWith('/dev/loop') || seen.has(device)) return [];
    seen.add(device);
    return [{ path, device, type }];
  });
  return { devices, filesystems: filesystems.sort((a, b) => (a.path < b.path ? -1 : 1)) };
}

/** Interfaces that come and go with containers and virtual machines. */
const passingInterfaces = /^(?:veth|docker|br-|cni|cali|flannel|virbr|vnet|tap|lxc|podman)/;

export async function collectNetwork(machine: Machine): Promise<FactGroups['network']> {
  const own = machine.interfaces.filter((one) => !one.isLoopback && !passingInterfaces.test(one.name));
  const names = [...new Set(own.map(({ name }) => name))].sort();
  const interfaces = names.map((name) => ({
    name,
    mac: own.find((one) => one.name === name)?.mac ?? '',
    addresses: own
      .filter((one) => one.name === name && !isLinkLocal(one.address))
      .map(({ address }) => address)
      .sort(),
  }));
  const addresses = interfaces.flatMap((one) => one.addresses.map((address) => address.replace(/\/\d+$/, ''))).sort();
  const dot = machine.hostname.indexOf('.');
  const domain = dot < 0 ? '' : machine.hostname.slice(dot + 1);
  return { hostname: machine.hostname, domain, addresses, interfaces };
}

const dmi = '/sys/class/dmi/id';

/** The hypervisor as the firmware and the processor tell it; a container by the marks that its makers leave. */
export async function collectVirtualization(machine: Machine): Promise<FactGroups['virtualization']> {
  const container = await isContainer(machine);
  const [vendor, product, cpuinfo, xen] = await Promise.all([
    machine.read(`${dmi}/sys_vendor`),
    machine.read(`${dmi}/product_name`),
    machine.read('/proc/cpuinfo'),
    machine.read('/sys/hypervisor/type'),
  ]);
  const firmware = `${vendor} ${product}`;
  const found = hypervisors.find(([, pattern]) => pattern.test(firmware))?.[0];
  const isVirtual = /^flags\s*:.*\bhypervisor\b/m.test(cpuinfo);
  const kind = found ?? (xen === 'xen' ? 'xen' : isVirtual ? 'other' : 'none');
  return { kind: kind === 'none' && container ? 'container' : kind, container };
}

const hypervisors: readonly (readonly [FactGroups['virtualization']['kind'], RegExp])[] = [
  ['vmware', /VMware/],
  ['virtualbox', /VirtualBox|innotek/],
  ['hyperv', /Microsoft Corporation Virtual Machine/],
  ['xen', /\bXen\b/],
  ['kvm', /QEMU|KVM|Amazon EC2|Google Compute Engine|DigitalOcean|Hetzner|OpenStack|Alibaba/],
];

async function isContainer(machine: Machine): Promise<boolean> {
  const marks = ['/.dockerenv', '/run/.containerenv', '/run/systemd/container'];
  const found = await Promise.all(marks.map((path) => machine.exists(path)));
  return found.includes(true);
}

const clouds: readonly (readonly [FactGroups['cloud']['provider'], RegExp])[] = [
  ['aws', /Amazon/],
  ['gcp', /Google/],
  ['azure', /7783-7084-3265-9085-8269-3286-77/],
  ['digitalocean', /DigitalOcean/],
  ['hetzner', /Hetzner/],
  ['oracle', /OracleCloud/],
  ['alibaba', /Alibaba/],
  ['openstack', /OpenStack/],
];

/** By the firmware alone: a metadata service is a network away, and on a machine outside its cloud anybody's. */
export async function collectCloud(machine: Machine): Promise<FactGroups['cloud']> {
  const [vendor, product, tag] = await Promise.all(
    ['sys_vendor', 'product_name', 'chassis_asset_tag'].map((name) => machine.read(`${dmi}/${name}`)),
  );
  const provider = clouds.find(([, pattern]) => pattern.test(`${vendor} ${tag}`))?.[0] ?? 'none';
  // Amazon's Nitro machines call themselves by their type.
  const instanceType = provider === 'aws' && product?.includes('.') === true ? product : '';
  return { provider, instanceType };
}

function isLinkLocal(address: string): boolean {
  return /^(?:fe[89ab][0-9a-f]:|169\.254\.)/i.test(address);
}

/** proc(5): blanks in mounts are octal escapes. */
function unescapeMount(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

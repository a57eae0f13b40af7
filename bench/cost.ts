/**
 * What a deployment costs in a month, from the number of nodes, the check-in interval and the profile: R55. A formula
 * over list prices, not a bill; the units of the table are those that `test/aws/capacity.aws.ts` counts. Prints one line
 * of JSON; `-- NODES INTERVAL_SECONDS PROFILE` for a single fleet.
 */
import { interfaceEndpoints } from '../cdk/constructs/endpoints.ts';
import { type ProfileName, profiles } from '../cdk/profiles.ts';
import { seenInterval } from '../functions/gateway/seen.ts';

/** US dollars, us-east-1, on demand, before taxes, free tiers and discounts; as published in January 2026. */
export const prices = {
  date: '2026-01',
  dynamoDbWriteUnit: 0.625e-6,
  dynamoDbReadUnit: 0.125e-6,
  dynamoDbStreamRequest: 0.02 / 100_000,
  fargateArmCoreHour: 0.03238,
  fargateArmGibHour: 0.00356,
  loadBalancerHour: 0.0225,
  loadBalancerCapacityUnitHour: 0.006,
  publicAddressHour: 0.005,
  endpointZoneHour: 0.01,
  kmsKeyMonth: 1,
  kmsEccSignature: 0.15 / 10_000,
  lambdaArmGibSecond: 0.0000133334,
  lambdaRequest: 0.2e-6,
  httpApiRequest: 1e-6,
  sqsFifoRequest: 0.5e-6,
  s3Put: 0.005 / 1000,
  alarmMonth: 0.1,
  dashboardMonth: 3,
  containerMetricMonth: 0.3,
  logGib: 0.5,
  transferOutGib: 0.09,
} as const;

const hours = 730;
const seconds = hours * 3600;
const gib = 2 ** 30;

/** What one of each does. Table units and bytes as measured; the rest as the design says. */
export const assumptions = {
  /** How often is `seenInterval`; a node's item, with its last run, is about 0.8 KB. */
  seenWriteUnits: 1,
  /** Half of a certificate's 24 hours. */
  renewalEveryS: 12 * 3600,
  renewalWriteUnits: 4,
  renewalReadUnits: 1,
  /** A day's run that changed something or is due, with its index, posture (of the day, and last) and the node's item in one transaction. */
  reportsPerDay: 1,
  reportWriteUnits: 16,
  /**
   * On the wire: 185 and 46 bytes of TLS records, TCP and IP of packets and acknowledgements, keepalive, and of a new
   * handshake every 25 minutes its share.
   */
  checkInBytesIn: 450,
  checkInBytesOut: 250,
  /**
   * 134 KB each as `bench/herd.ts` counts them, with a third of head-room; one task fewer still holds them all. Or the CPU:
   * a check-in is 0.11 ms of a whole core.
   */
  connectionsPerGib: 4_500,
  checkInsPerCoreSecond: 4_500,
  /** A poll of each shard every 700 ms; a new on-demand table has four. */
  streamPollsPerS: 1 / 0.7,
  shards: 4,
  /** A checkpoint a minute at least; each shard wakes the sealer once in the profile's window at most. */
  heartbeatS: 60,
  putsPerCheckpoint: 4,
  writeUnitsPerCheckpoint: 10,
  readUnitsPerCheckpoint: 10,
  sealerGibS: 0.3,
  functionGibS: 0.1,
  /** The schedule rings every minute; Lambda asks the queue of rings five times in 20 s, whether or not there are any. */
  roundS: 60,
  roundGibS: 0.1,
  queuePollsPerS: 0.25,
  logBytesPerNodeDay: 10_000,
  alarms: 28,
  containerMetrics: 15,
} as const;

export type CostInput = { readonly nodes: number; readonly intervalS: number; readonly profile: ProfileName };
export type Cost = {
  readonly total: number;
  readonly lines: { readonly [what: string]: number };
  readonly tasks: number;
};

/** US dollars a month. */
export function monthlyCost({ nodes, intervalS, profile }: CostInput): Cost {
  const a = assumptions;
  const p = prices;
  const { gateway, containerInsights, sealWindow, zones } = profiles[profile];
  const checkInsPerS = nodes / intervalS;
  const gatewayGib = gateway.memoryMiB / 1024;
  const cores = gateway.cpu / 1024;
  const tasks = Math.max(
    gateway.tasks,
    Math.ceil(nodes / (a.connectionsPerGib * gatewayGib)),
    Math.ceil(checkInsPerS / (a.checkInsPerCoreSecond * cores)),
  );
  const isPublic = gateway.subnets === 'public';
  const renewals = (nodes * seconds) / a.renewalEveryS;
  const reports = (nodes * a.reportsPerDay * hours) / 24;
  const seen = (nodes * seconds) / Math.max(seenInterval(nodes / tasks) / 1000, intervalS);
  const wakesPerS = Math.min(1, a.shards / sealWindow.toSeconds());
  const checkpoints = Math.min(seconds * wakesPerS, Math.max(seconds / a.heartbeatS, renewals));
  const bytesOut = checkInsPerS * seconds * a.checkInBytesOut;
  const bytesIn = checkInsPerS * seconds * a.checkInBytesIn;
  // Elastic Load Balancing pricing: the largest of 100,000 connections and 1 GB an hour is what counts.
  const capacityUnits = Math.max(nodes / 100_000, (bytesIn + bytesOut) / gib / hours);
  const writes =
    seen * a.seenWriteUnits +
    renewals * a.renewalWriteUnits +
    reports * a.reportWriteUnits +
    checkpoints * a.writeUnitsPerCheckpoint;
  const reads = reports + renewals * a.renewalReadUnits + checkpoints * a.readUnitsPerCheckpoint;
  const lines = {
    'gateway (Fargate)': tasks * hours * (cores * p.fargateArmCoreHour + gatewayGib * p.fargateArmGibHour),
    'load balancer': hours * (p.loadBalancerHour + capacityUnits * p.loadBalancerCapacityUnitHour),
    'public addresses': hours * p.publicAddressHour * (zones + (isPublic ? tasks : 0)),
    endpoints: isPublic ? 0 : hours * p.endpointZoneHour * zones * Object.keys(interfaceEndpoints).length,
    table: writes * p.dynamoDbWriteUnit + reads * p.dynamoDbReadUnit,
    'change feed': tasks * a.shards * a.streamPollsPerS * seconds * p.dynamoDbStreamRequest,
    'keys and signatures': 3 * p.kmsKeyMonth + (renewals + checkpoints) * p.kmsEccSignature,
    functions:
      (renewals * a.functionGibS + checkpoints * a.sealerGibS) * p.lambdaArmGibSecond +
      (renewals + checkpoints) * p.lambdaRequest +
      renewals * p.httpApiRequest +
      (seconds / a.roundS) * (a.roundGibS * p.lambdaArmGibSecond + p.lambdaRequest) +
      seconds * a.queuePollsPerS * p.sqsFifoRequest,
    'published log and anchors': (checkpoints * a.putsPerCheckpoint + seconds / a.heartbeatS) * p.s3Put,
    'traffic out': (bytesOut / gib) * p.transferOutGib,
    watching:
      a.alarms * p.alarmMonth +
      p.dashboardMonth +
      (containerInsights ? a.containerMetrics * p.containerMetricMonth : 0) +
      ((nodes * a.logBytesPerNodeDay * hours) / 24 / gib) * p.logGib,
  };
  return { total: Object.values(lines).reduce((sum, each) => sum + each, 0), lines, tasks };
}

/** The fleets of the table in docs/aws.md. */
export const fleets: readonly CostInput[] = [
  { nodes: 100, intervalS: 60, profile: 'small' },
  { nodes: 1_000, intervalS: 60, profile: 'small' },
  { nodes: 1_000, intervalS: 60, profile: 'standard' },
  { nodes: 10_000, intervalS: 60, profile: 'small' },
  { nodes: 10_000, intervalS: 60, profile: 'standard' },
  { nodes: 100_000, intervalS: 60, profile: 'standard' },
];

/** As docs/aws.md has it. */
export function costTable(): string {
  const head =
    '| nodes | interval | profile | gateway tasks | US$ a month | a node |\n|---:|---:|---|---:|---:|---:|\n';
  const rows = fleets.map((fleet) => {
    const { total, tasks } = monthlyCost(fleet);
    const each = (total / fleet.nodes).toFixed(4);
    return `| ${fleet.nodes.toLocaleString('en-US')} | ${fleet.intervalS} s | ${fleet.profile} | ${tasks} | ${Math.round(total).toLocaleString('en-US')} | ${each} |\n`;
  });
  return head + rows.join('');
}

if (import.meta.main) {
  const [nodes, intervalS, profile] = process.argv.slice(2);
  const chosen =
    nodes === undefined
      ? fleets
      : [
          {
            nodes: Number(nodes),
            intervalS: Number(intervalS ?? 60),
            profile: profile === 'standard' ? 'standard' : 'small',
          } as const,
        ];
  const figures = chosen.map((fleet) => {
    const { total, lines, tasks } = monthlyCost(fleet);
    const rounded = Object.entries(lines).map(([what, value]) => [what, Math.round(value * 100) / 100]);
    return { ...fleet, tasks, usd: Math.round(total), lines: Object.fromEntries(rounded) };
  });
  process.stdout.write(`${JSON.stringify({ bench: 'cost', prices: prices.date, region: 'us-east-1', figures })}\n`);
}

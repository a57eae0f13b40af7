/** The two sizes of a deployment. They differ in what they cost and in where the gateway stands, never in what is checked. */
import { Duration } from 'aws-cdk-lib';

export type ProfileName = 'small' | 'standard';

export type Profile = {
  /** Availability zones, unless the context names them. */
  readonly zones: 2 | 3;
  readonly gateway: {
    readonly tasks: number;
    readonly maxTasks: number;
    /** Units of 1/1024 of a core, and MiB, as Fargate sells them. */
    readonly cpu: number;
    readonly memoryMiB: number;
    /** `public`: own addresses, closed by security groups. `isolated`: no route to the Internet, AWS by endpoints alone. */
    readonly subnets: 'public' | 'isolated';
  };
  /**
   * Instances that a function always has and never exceeds. A new AWS account has ten in all, of which none can be set
   * aside, so the small profile reserves none.
   */
  readonly reservedConcurrency?: {
    readonly identity: number;
    readonly admin: number;
    readonly sealer: number;
    readonly secrets: number;
    readonly router: number;
    readonly deliver: number;
  };
  /** Metrics of each task, which cost more than a small gateway; CPU and memory of the service are free. */
  readonly containerInsights: boolean;
  /**
   * How long changes of the table are gathered before they wake the sealer: each checkpoint costs a signature and four
   * objects, so a large fleet makes fewer. Each shard has its own window and each wake seals everything, so what waits
   * is half of it at most in a busy fleet. Entries stand in the table at once in either case.
   */
  readonly sealWindow: Duration;
  /** Requests to the HTTPS API, all callers together. */
  readonly apiBurst: number;
  readonly apiPerSecond: number;
};

/**
 * A task is replaced by a new one that is ready before the old one goes. The small profile's single task that dies is
 * started anew within a minute or two; meanwhile nodes go on with what they hold, and only news waits.
 */
export const profiles: { readonly [name in ProfileName]: Profile } = {
  small: {
    zones: 2,
    gateway: { tasks: 1, maxTasks: 8, cpu: 256, memoryMiB: 512, subnets: 'public' },
    containerInsights: false,
    sealWindow: Duration.seconds(1),
    apiBurst: 100,
    apiPerSecond: 50,
  },
  standard: {
    zones: 3,
    gateway: { tasks: 3, maxTasks: 12, cpu: 1024, memoryMiB: 4096, subnets: 'isolated' },
    containerInsights: true,
    reservedConcurrency: { identity: 50, admin: 50, sealer: 5, secrets: 50, router: 5, deliver: 20 },
    sealWindow: Duration.seconds(10),
    apiBurst: 500,
    apiPerSecond: 250,
  },
};

/** How a task goes: out of the load balancer, its sessions told to go elsewhere over 90 s, then stopped. */
export const drain = {
  deregistrationDelay: Duration.seconds(180),
  stopTimeout: Duration.seconds(120),
} as const;

/** TCP ports of the gateway's container. */
export const gatewayPorts = { sessions: 8443, health: 8081 } as const;
/** The only port anybody reaches from outside. */
export const publicPort = 443;

/** The two sizes of a deployment. They differ in what they cost and in where the gateway stands, never in what is checked. */
import { Duration } from 'aws-cdk-lib';

export type ProfileName = 'small' | 'standard';

export type Profile = {
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
  readonly reservedConcurrency?: { readonly identity: number; readonly admin: number; readonly sealer: number };
  /** Requests to the HTTPS API, all callers together. */
  readonly apiBurst: number;
  readonly apiPerSecond: number;
};

/** Two tasks are the least: one is always left while the other is replaced. */
export const profiles: { readonly [name in ProfileName]: Profile } = {
  small: {
    gateway: { tasks: 2, maxTasks: 4, cpu: 256, memoryMiB: 512, subnets: 'public' },
    apiBurst: 100,
    apiPerSecond: 50,
  },
  standard: {
    gateway: { tasks: 3, maxTasks: 12, cpu: 1024, memoryMiB: 4096, subnets: 'isolated' },
    reservedConcurrency: { identity: 50, admin: 50, sealer: 5 },
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

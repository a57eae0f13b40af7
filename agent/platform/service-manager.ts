/** The port for service managers: what a service is doing, and the commands that change it. */
import type { Host, HostView } from '../host.ts';
import type { ServiceTool } from './detect.ts';

export type ServiceStatus = {
  /** False when the service manager knows no such service. */
  readonly exists: boolean;
  readonly isRunning: boolean;
  readonly isEnabled: boolean;
  readonly isMasked: boolean;
  /** Why it can't be enabled or kept running, where that is so. */
  readonly cannotEnable?: string;
  readonly cannotRun?: string;
  /** Its definition on disk is newer than what the service manager goes by. */
  readonly isStale: boolean;
};

export type ServiceAction =
  | 'start'
  | 'stop'
  | 'restart'
  | 'reload'
  | 'enable'
  | 'disable'
  | 'mask'
  | 'unmask'
  /** Reads the definitions on disk anew. */
  | 'load';

export type ServiceManager = {
  readonly tool: ServiceTool;
  status(host: HostView, name: string, signal: AbortSignal): Promise<ServiceStatus>;
  act(host: Host, name: string, action: ServiceAction, signal: AbortSignal): Promise<void>;
};

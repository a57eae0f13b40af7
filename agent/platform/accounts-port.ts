/** The port of account tools: what a machine's accounts are, and the commands that change them. */
import type { Host, HostView } from '../host.ts';
import type { GroupEntry, PasswdEntry } from './account-files.ts';
import type { AccountTool } from './detect.ts';

/** What is to be set; what is left out stays as it is, or as the tool would have it. */
export type UserFields = {
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly home?: string | undefined;
  readonly shell?: string | undefined;
  readonly comment?: string | undefined;
  /** All supplementary groups. */
  readonly groups?: readonly string[] | undefined;
};

export type NewUser = UserFields & { readonly isSystem: boolean; readonly createHome: boolean };

export type AccountStore = {
  readonly tool: AccountTool;
  user(host: HostView, name: string, signal: AbortSignal): Promise<PasswdEntry | undefined>;
  group(host: HostView, name: string, signal: AbortSignal): Promise<GroupEntry | undefined>;
  /** The supplementary groups of a user, sorted. */
  groupsOf(host: HostView, user: string, signal: AbortSignal): Promise<readonly string[]>;
  /** The password field as stored. Undefined when there is none. Throws where passwords are kept elsewhere. */
  passwordHash(host: HostView, user: string): Promise<string | undefined>;
  addUser(host: Host, name: string, fields: NewUser, signal: AbortSignal): Promise<void>;
  changeUser(host: Host, name: string, fields: UserFields, signal: AbortSignal): Promise<void>;
  /** Leaves the home directory alone. */
  removeUser(host: Host, name: string, signal: AbortSignal): Promise<void>;
  setPasswordHash(host: Host, user: string, hash: string, signal: AbortSignal): Promise<void>;
  addGroup(
    host: Host,
    name: string,
    fields: { gid?: number | undefined; isSystem: boolean },
    signal: AbortSignal,
  ): Promise<void>;
  changeGroup(host: Host, name: string, gid: number, signal: AbortSignal): Promise<void>;
  /** Makes these the members whose primary group it isn't. */
  setMembers(host: Host, name: string, members: readonly string[], signal: AbortSignal): Promise<void>;
  removeGroup(host: Host, name: string, signal: AbortSignal): Promise<void>;
};

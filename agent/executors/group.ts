/** `group`: a group of the machine, with this id and these members, or none at all. What is left out stays as it is. */
import { z } from 'zod';
import type { Difference, Executor } from '../executor.ts';
import { accountStoreOf } from '../platform/accounts.ts';
import { accountName, state } from './fields.ts';

const schema = z
  .strictObject({
    name: accountName,
    state,
    gid: z.int().min(0).max(0xfffffffe).optional(),
    /** Made with an id of the range for the system's own. An existing group keeps its id. */
    system: z.boolean().default(false),
    /** Exactly these, but for users whose primary group it is. */
    members: z.array(accountName).max(1000).optional(),
  })
  .refine((desired) => desired.state === 'present' || (desired.gid === undefined && desired.members === undefined), {
    message: 'gid and members make no sense when the state is "absent"',
    path: ['state'],
  });

export type Group = z.output<typeof schema>;
export type GroupDifference = Difference & {
  readonly reasons: readonly string[];
  readonly isIdWrong: boolean;
  readonly areMembersWrong: boolean;
};

export const group: Executor<Group, GroupDifference> = {
  name: 'group',
  schema,
  id: (desired) => desired.name,
  paths: () => [],

  async check(desired, host, { signal }) {
    const store = await accountStoreOf(host);
    const found = await store.group(host, desired.name, signal);
    if (desired.state === 'absent') {
      const reasons = ['there is one'];
      return found === undefined ? undefined : { change: 'removed', reasons, isIdWrong: false, areMembersWrong: false };
    }
    const wanted = [...new Set(desired.members)].sort();
    if (found === undefined) {
      const areMembersWrong = wanted.length > 0;
      return { change: 'created', reasons: ['there is none'], isIdWrong: false, areMembersWrong };
    }
    const isIdWrong = desired.gid !== undefined && desired.gid !== found.gid;
    const areMembersWrong =
      desired.members !== undefined && wanted.join(',') !== [...new Set(found.members)].sort().join(',');
    const reasons = [
      ...(isIdWrong ? [`id ${found.gid} instead of ${desired.gid}`] : []),
      ...(areMembersWrong ? ['other members'] : []),
    ];
    return reasons.length === 0 ? undefined : { change: 'updated', reasons, isIdWrong, areMembersWrong };
  },

  async apply(found, desired, host, { signal }) {
    const store = await accountStoreOf(host);
    if (desired.state === 'absent') {
      await store.removeGroup(host, desired.name, signal);
      return;
    }
    if (found.change === 'created') {
      await store.addGroup(host, desired.name, { gid: desired.gid, isSystem: desired.system }, signal);
    }
    if (found.isIdWrong && desired.gid !== undefined) {
      await store.changeGroup(host, desired.name, desired.gid, signal);
    }
    if (found.areMembersWrong) {
      await store.setMembers(host, desired.name, [...new Set(desired.members)].sort(), signal);
    }
  },

  describe: (found) => found.reasons.join(', '),
};

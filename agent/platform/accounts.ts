/** The account tools of this machine. */
import type { HostView } from '../host.ts';
import { dscl } from './accounts-dscl.ts';
import type { AccountStore } from './accounts-port.ts';
import { busybox, shadow } from './accounts-shadow.ts';
import { type AccountTool, accountToolOf } from './detect.ts';

const stores: { readonly [Tool in AccountTool]: AccountStore } = { shadow, busybox, dscl };

export async function accountStoreOf(host: HostView): Promise<AccountStore> {
  return stores[await accountToolOf(host)];
}

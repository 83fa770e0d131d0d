import type { Host } from "../../cni/host.ts";
import { listAddresses, parseAddress } from "../../kernel/address.ts";
import { dcbOf } from "../../kernel/dcb.ts";
import { firmwareOf } from "../../kernel/driver-info.ts";
import { linkOf } from "../../kernel/link.ts";
import type { NetlinkConnection } from "../../kernel/netlink/message.ts";
import type { Ask } from "../../kernel/rx-rules.ts";
import { speedOf } from "../../kernel/sysfs.ts";

/** What only netlink, ioctl(2) or a file that waits for rtnl tells about a PF: the work of its kernel thread. */
export interface KernelFacts {
  readonly mac?: string;
  readonly addresses?: readonly string[];
  readonly mtu?: number;
  readonly speed?: number;
  readonly firmware?: string;
  readonly trust?: string;
  readonly pfc?: string;
}

export interface FactsHost {
  readonly rtnl: NetlinkConnection;
  readonly ask: Ask;
  readonly paths: Pick<Host["paths"], "sysfs">;
}

/** For a PF's link in the host's network namespace. What is not reported is absent; never throws. */
export function readKernelFacts(netdev: string, { rtnl, ask, paths }: FactsHost): KernelFacts {
  const link = told(() => rtnl.get(linkOf({ name: netdev })));
  if (!link) return {};
  const addresses = told(() => rtnl.dump(listAddresses(link.index)).map(parseAddress));
  const own = addresses?.filter(({ index, cidr }) => index === link.index && !/^fe80:/i.test(cidr));
  const speed = speedOf(paths.sysfs, netdev);
  const firmware = told(() => firmwareOf(netdev, ask));
  const dcb = told(() => rtnl.get(dcbOf(netdev)));
  return {
    mac: link.mac,
    mtu: link.mtu,
    ...(own && { addresses: own.map(({ cidr }) => cidr).sort() }),
    ...(speed !== undefined && { speed }),
    ...(firmware && { firmware }),
    ...dcb,
  };
}

/** What a driver refuses, or is gone, is unknown. */
function told<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}

import { CniError, CODE } from "../cni/protocol/error.ts";
import type { Call } from "../cni/protocol/request.ts";
import { toCniFailure } from "./failure.ts";
import type { IpamHost } from "./host.ts";
import { ClaimJournal } from "./journal.ts";
import { readIpamConfig } from "./whereabouts/config.ts";

/** CHECK: every address that ADD assigned is in prevResult and still this sandbox's in the store. Changes nothing. */
export async function check(call: Call, host: IpamHost): Promise<void> {
  const { storage } = readIpamConfig(call, host);
  const { containerId, ifname } = call;
  const record = new ClaimJournal(host.stateDir).find(containerId, ifname);
  if (record?.phase !== "held")
    throw new CniError(
      CODE.UNKNOWN_CONTAINER,
      `cannot check ${ifname}: no ADD of container ${containerId} is on record`,
    );
  const there = new Set(call.prevResult?.ips.map(({ address }) => address.split("/")[0]));
  const store = await host.store(storage);
  for (const { pool, ip } of record.addresses) {
    if (call.prevResult && !there.has(ip))
      throw new CniError(CODE.FAILED, `cannot confirm ${ip} of ${ifname}: prevResult does not have it`);
    const holder = await store.holder(pool, ip).catch((error) => {
      throw toCniFailure(error);
    });
    if (holder?.containerId !== containerId || holder.ifname !== ifname)
      throw new CniError(
        CODE.FAILED,
        `cannot confirm ${ip} of ${ifname}: ${holder ? `it belongs to ${holder.podref} (${holder.ifname})` : "nobody holds it"}`,
      );
  }
}

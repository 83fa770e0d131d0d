import { accessSync, constants, existsSync } from "node:fs";
import { dirname } from "node:path";
import { codeOf } from "../kernel/errno.ts";
import { linkOf } from "../kernel/link.ts";
import { findPf, listPfs, type PfInfo } from "../kernel/sysfs.ts";
import { readRail, withOwnKeys } from "./config.ts";
import type { Host } from "./host.ts";
import { CniError, CODE } from "./protocol/error.ts";
import type { Call } from "./protocol/request.ts";
import { ipamCalls, railCalls } from "./rail-calls.ts";

/** STATUS: whether an ADD could work now. Quick, since containerd asks every few seconds. Changes nothing. */
export async function status(call: Call, host: Host): Promise<void> {
  checkState(host);
  for (const one of railCalls(call)) checkRails(withOwnKeys(one).config.rail, host);
  for (const one of ipamCalls(call)) {
    const type = one.config.ipam?.type;
    if (type) await host.ipam.ask("STATUS", type, one, { timeoutMs: 5_000 });
  }
}

function checkState({ paths }: Host): void {
  let dir = paths.stateDir;
  while (!existsSync(dir)) dir = dirname(dir);
  try {
    accessSync(dir, constants.W_OK);
  } catch (error) {
    throw unavailable(`the state directory ${paths.stateDir} is not writable (${codeOf(error)})`);
  }
}

function checkRails(rail: unknown, host: Host): void {
  const pfs = listPfs(host.paths.sysfs);
  const named = readRail(rail);
  const wanted = named === undefined ? pfs : [findPf(pfs, named)].filter((pf) => pf !== undefined);
  if (wanted.length === 0)
    throw unavailable(
      named !== undefined ? `rail ${JSON.stringify(rail)} is not a PF of this node` : "this node has no SR-IOV device",
    );
  if (!wanted.some((pf) => pf.numVfs > 0))
    throw unavailable(`${wanted.map((pf) => pf.name).join(", ")} has no VFs; write their number to sriov_numvfs`);
  if (named !== undefined && !hasCarrier(wanted[0]!, host))
    throw new CniError(
      CODE.LIMITED_CONNECTIVITY,
      `rail ${JSON.stringify(rail)}: PF ${wanted[0]!.name} has no carrier; check cable and switch port`,
    );
}

function hasCarrier(pf: PfInfo, host: Host): boolean {
  return host.rtnl.get(linkOf({ name: pf.name })).running;
}

function unavailable(why: string): CniError {
  return new CniError(CODE.PLUGIN_NOT_AVAILABLE, `cannot attach: ${why}`);
}

// Pools and owners for the stores' tests.
import type { Owner, Pool } from "../../../ipam/store/store.ts";

let networks = 0;

export const poolOf = (
  network: string,
  cidr: string,
  { overlapping = true, name = `${network && `${network}-`}${cidr.replace(/[:/]/g, "-")}` } = {},
): Pool => ({ name, cidr, network, overlapping });

/** A network that no other test has. */
export const newNetwork = (prefix = "net"): string => `${prefix}-${process.pid}-${++networks}`;

export const ownerOf = (pod: string, sandbox = "a", rest: Partial<Owner> = {}): Owner => ({
  podref: `team/${pod}`,
  ifname: "net1",
  containerId: `${pod}-${sandbox}`.padEnd(64, "0"),
  node: "node-1",
  ...rest,
});

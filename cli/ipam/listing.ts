import { age, type Column, count, table } from "../table.ts";
import type { HeldAddress } from "./addresses.ts";

/** Restricts what `list` shows. */
export interface Filters {
  readonly network?: string | undefined;
  readonly pool?: string | undefined;
  readonly node?: string | undefined;
  /** `namespace/name`, or a name in any namespace. */
  readonly pod?: string | undefined;
}

/** Pure. */
export const matching =
  ({ network, pool, node, pod }: Filters) =>
  (address: HeldAddress): boolean =>
    (network === undefined || address.network === network) &&
    (pool === undefined || address.pool === pool) &&
    (node === undefined || address.node === node) &&
    (pod === undefined || address.podref === pod || address.podref.endsWith(`/${pod}`));

/** Pure. */
export function listing(addresses: readonly HeldAddress[], nowMs: number): string {
  if (addresses.length === 0) return "no addresses\n";
  const columns: Column<HeldAddress>[] = [
    { title: "ADDRESS", of: ({ ip }) => ip },
    { title: "NETWORK", of: ({ network }) => network },
    { title: "POOL", of: ({ pool }) => pool },
    { title: "POD", of: ({ podref }) => podref || "(not known)" },
    { title: "INTERFACE", of: ({ ifname }) => ifname },
    { title: "NODE", of: ({ node }) => node },
    { title: "AGE", of: ({ since }) => age(since, nowMs) },
    { title: "BY", of: ({ by }) => by },
  ];
  return `${table(columns, addresses)}${count(addresses.length, "address", "addresses")}\n`;
}

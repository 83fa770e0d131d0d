import type { LinkSetting, LinkSettings } from "../../../kernel/link-settings.ts";

/** How an attachment treats one more setting of a link. cni/attachment/README.md has the whole table, with reasons. */
interface Row {
  /** ADD sets this for the pod, whatever the host has; DEL also falls back to it where the record has no value. */
  readonly clean?: boolean | number | string;
  /** CHECK compares it with `clean`: a link that differs is deaf or mute, and no chained plugin sets it. */
  readonly compared?: true;
}

/** What `ip link set` can change and a move between namespaces preserves. DEL restores every row from the record. */
const ROWS: Readonly<Record<LinkSetting, Row>> = {
  arp: { clean: true, compared: true },
  multicast: { clean: true, compared: true },
  broadcast: { clean: "ff:ff:ff:ff:ff:ff", compared: true },
  mode: { clean: 0, compared: true },
  promisc: { clean: false },
  allmulticast: { clean: false },
  dynamic: { clean: false },
  debug: {},
  trailers: {},
  portsel: {},
  automedia: {},
  txqlen: {},
  group: {},
  gsoMaxSize: {},
  gsoMaxSegs: {},
  groMaxSize: {},
  gsoIpv4MaxSize: {},
  groIpv4MaxSize: {},
};

const rows = Object.entries(ROWS) as [LinkSetting, Row][];

/** What every pod gets. */
export const CLEAN: Partial<LinkSettings> = Object.fromEntries(
  rows.flatMap(([name, { clean }]) => (clean === undefined ? [] : [[name, clean]])),
);

/** What CHECK looks at. */
export const COMPARED: readonly LinkSetting[] = rows.filter(([, row]) => row.compared).map(([name]) => name);

/** The part of `wanted` that a link does not have; what its kernel does not know is left out. */
export function settingsToChange(wanted: Partial<LinkSettings>, now: LinkSettings): Partial<LinkSettings> {
  const names = (Object.keys(wanted) as LinkSetting[]).filter((n) => now[n] !== undefined && now[n] !== wanted[n]);
  return Object.fromEntries(names.flatMap((n) => [n, ...(FOLLOWERS[n] ?? [])]).map((n) => [n, wanted[n]]));
}

/** Setting the key also sets the values, on kernels that have them (`netif_set_gso_max_size()`, net/core/dev.h). */
const FOLLOWERS: Partial<Record<LinkSetting, readonly LinkSetting[]>> = {
  gsoMaxSize: ["gsoIpv4MaxSize"],
  groMaxSize: ["groIpv4MaxSize"],
};

import { codeOf } from "./errno.ts";
import type { Ask } from "./rx-rules.ts";

/** include/uapi/linux/ethtool.h: ethtool's netlink family has none of a driver's own counters. */
const ETHTOOL_GSTRINGS = 0x1b;
const ETHTOOL_GSTATS = 0x1d;
const ETHTOOL_GSSET_INFO = 0x37;
const ETH_SS_STATS = 1;
const NAME_BYTES = 32;
/** `struct ethtool_sset_info`, `ethtool_gstrings` and `ethtool_stats`, without what follows their heads. */
const SSET_INFO = { size: 20, mask: 8, count: 16 };
const GSTRINGS = { size: 12, set: 4, count: 8 };
const STATS = { size: 8, count: 4 };
/** A driver may have more counters a moment later (queues), and the kernel then writes as many (`ethtool_get_stats`). */
const SPARE = 4096;

const PRIORITIES = [0, 1, 2, 3, 4, 5, 6, 7];
const eight = (name: (priority: number) => string): string[] => PRIORITIES.map(name);

/**
 * What tells of a sick fabric, cable or receiver, a bounded list of drivers' own names (`ethtool -S`): discards, pauses by
 * priority, broken frames, links lost. Of mlx5 (en_stats.c), ice, i40e, bnxt (bnxt_ethtool.c), ixgbe and igb.
 */
export const NIC_EVENTS: ReadonlySet<string> = new Set([
  ..."rx_discards_phy tx_discards_phy rx_out_of_buffer rx_crc_errors_phy rx_symbol_err_phy link_down_events_phy".split(
    " ",
  ),
  ...eight((n) => `rx_prio${n}_pause`),
  ...eight((n) => `tx_prio${n}_pause`),
  ..."rx_dropped.nic rx_crc_errors.nic link_xoff_rx.nic link_xoff_tx.nic".split(" "),
  ...eight((n) => `rx_priority_${n}_xoff.nic`),
  ...eight((n) => `tx_priority_${n}_xoff.nic`),
  ..."port.rx_crc_errors port.link_xoff_rx port.link_xoff_tx".split(" "),
  ...eight((n) => `port.rx_priority_${n}_xoff_rx`),
  ...eight((n) => `port.tx_priority_${n}_xoff_tx`),
  ..."rx_fcs_err_frames rx_pause_frames tx_pause_frames rx_stat_discard".split(" "),
  ...eight((n) => `rx_pfc_ena_frames_pri${n}`),
  ...eight((n) => `tx_pfc_ena_frames_pri${n}`),
  ..."rx_crc_errors rx_missed_errors rx_no_buffer_count rx_no_dma_resources rx_flow_control_xoff tx_flow_control_xoff".split(
    " ",
  ),
]);

/**
 * A link's counters by its driver's names; none where the driver has none, or the link is gone.
 *
 * @param isWanted which.
 */
export function nicCountersOf(
  link: string,
  ask: Ask,
  isWanted = (name: string) => NIC_EVENTS.has(name),
): Record<string, number> {
  try {
    const names = namesOf(link, ask);
    const stats = Buffer.alloc(STATS.size + 8 * (names.length + SPARE));
    stats.writeUInt32LE(ETHTOOL_GSTATS, 0);
    stats.writeUInt32LE(names.length, STATS.count);
    ask(link, stats);
    if (stats.readUInt32LE(STATS.count) !== names.length) return {}; // it has others now: next time
    const found = names.map((name, i) => [name, Number(stats.readBigUInt64LE(STATS.size + 8 * i))] as const);
    return Object.fromEntries(found.filter(([name]) => isWanted(name)));
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    return {};
  }
}

function namesOf(link: string, ask: Ask): string[] {
  const info = Buffer.alloc(SSET_INFO.size);
  info.writeUInt32LE(ETHTOOL_GSSET_INFO, 0);
  info.writeBigUInt64LE(1n << BigInt(ETH_SS_STATS), SSET_INFO.mask);
  ask(link, info);
  if (info.readBigUInt64LE(SSET_INFO.mask) === 0n) return [];
  const count = info.readUInt32LE(SSET_INFO.count);
  const strings = Buffer.alloc(GSTRINGS.size + NAME_BYTES * (count + SPARE));
  strings.writeUInt32LE(ETHTOOL_GSTRINGS, 0);
  strings.writeUInt32LE(ETH_SS_STATS, GSTRINGS.set);
  strings.writeUInt32LE(count, GSTRINGS.count);
  ask(link, strings);
  const there = Math.min(strings.readUInt32LE(GSTRINGS.count), count + SPARE);
  return Array.from({ length: there }, (_, i) => nameAt(strings, GSTRINGS.size + NAME_BYTES * i));
}

/** Up to its NUL. */
const nameAt = (bytes: Buffer, at: number): string => bytes.toString("latin1", at, at + NAME_BYTES).split("\0", 1)[0]!;

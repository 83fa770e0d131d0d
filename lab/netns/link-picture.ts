import { join } from "node:path";
import type { Netns } from "./netns.ts";

type Json = Record<string, unknown>;

const BPF = join(import.meta.dirname, "bpf.py");

/** A command that attaches a program which drops everything, or counts programs: bpf.py. */
export const bpf = (what: "xdp" | "xdp-link" | "tcx" | "tcx-count", link: string): string[] => [
  "python3",
  BPF,
  what,
  link,
];

/** What ethtool(8) is asked; what a driver lacks is reported as such, and that must not change either. */
const ETHTOOL = ["-k", "-g", "-l", "-c", "--show-priv-flags", "-n"];

/**
 * Everything that ip(8), tc(8), ethtool(8) and bpf(2) report about a link, by program. Leaves out where the link is and when
 * it was last up: indices, carrier, random identifiers of queueing disciplines.
 */
export async function linkPicture(netns: Netns, link: string): Promise<Json> {
  const script = [
    `ip -j -d link show dev ${link}; echo ---`,
    `ip -j maddr show dev ${link}; echo ---`,
    `tc qdisc show dev ${link}; tc filter show dev ${link} ingress; echo ---`,
    `${bpf("tcx-count", link).join(" ")}; echo ---`,
    ...ETHTOOL.map((option) => `ethtool ${option} ${link} 2>&1; echo ---`),
  ].join("\n");
  const [ip, maddr, tc, tcx, ...ethtool] = (await netns.exec("sh", "-c", script)).split("---\n");
  return {
    link: steadyLink((JSON.parse(ip!) as Json[])[0]!),
    maddr: (((JSON.parse(maddr!) as Json[])[0]?.["maddr"] ?? []) as Json[]).filter((one) => !isNeighbourhood(one)),
    tc: tc!.trim(),
    tcx: Number(tcx),
    ethtool: Object.fromEntries(ETHTOOL.map((option, i) => [option, ethtool[i]!.replaceAll(link, "LINK").trim()])),
  };
}

/** Of the link-local address, which comes a while after the link is up. */
const isNeighbourhood = ({ link = "", address = "" }: Json): boolean =>
  String(link).startsWith("33:33:ff:") || String(address).startsWith("ff02::1:ff");

function steadyLink({ ifindex, link_index, link_netnsid, link, operstate, qdisc, flags, ...rest }: Json): Json {
  return { ...rest, flags: (flags as string[]).filter((f) => !["LOWER_UP", "NO-CARRIER", "M-DOWN"].includes(f)) };
}

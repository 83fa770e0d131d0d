import { readFileSync } from "node:fs";

/** A dump as the kernel answered it, and what ip(8) 6.1 made of the same state; capture-replies.sh makes both anew. */
interface Captured<T> {
  readonly bodies: readonly string[];
  readonly ip: readonly T[];
}

export interface IpLink {
  readonly ifindex: number;
  readonly link_type: string;
  readonly ifname: string;
  readonly address: string;
  readonly flags: readonly string[];
  readonly linkmode: string;
  readonly broadcast: string;
  readonly txqlen?: number;
  readonly gso_max_size: number;
  readonly gso_max_segs: number;
  readonly gro_max_size: number;
  readonly mtu: number;
  readonly min_mtu: number;
  readonly max_mtu: number;
  readonly ifalias?: string;
  readonly altnames?: readonly string[];
  readonly parentdev?: string;
  readonly permaddr?: string;
  readonly linkinfo?: { readonly info_kind?: string };
}

export interface IpAddresses {
  readonly ifindex: number;
  readonly addr_info: readonly {
    readonly local: string;
    readonly prefixlen: number;
    readonly address?: string;
    readonly tentative?: boolean;
    readonly dadfailed?: boolean;
  }[];
}

/** With -N: numbers as text where ip(8) else has names. */
export interface IpRoute {
  readonly dst: string;
  readonly table: string;
  readonly scope: string;
  readonly dev?: string;
  readonly gateway?: string;
  readonly metric?: number;
  readonly prefsrc?: string;
  readonly metrics?: readonly { readonly mtu?: number; readonly advmss?: number }[];
  readonly nexthops?: readonly { readonly gateway: string; readonly dev: string; readonly weight: number }[];
}

export interface IpRule {
  readonly src: string;
  readonly srclen?: number;
  readonly iif?: string;
  readonly table: string;
  readonly priority: number;
}

interface Replies {
  readonly links: Captured<IpLink>;
  readonly addresses: Captured<IpAddresses>;
  readonly routes: Captured<IpRoute>;
  readonly rules: Captured<IpRule>;
  readonly rules6: Captured<IpRule>;
}

export const replies: Replies = JSON.parse(readFileSync(new URL("replies.json", import.meta.url), "utf8"));

/** Index of a captured link by its name. */
export const indexOf = (name: string): number => replies.links.ip.find((link) => link.ifname === name)!.ifindex;

export const bodiesOf = ({ bodies }: Captured<unknown>): Buffer[] => bodies.map((body) => Buffer.from(body, "hex"));

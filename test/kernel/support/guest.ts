import { readFileSync } from "node:fs";

/** One command of ip(8) or rdma(8) on a machine with SR-IOV, as it was seen; capture-guest.sh makes the file anew. */
export interface Exchange {
  readonly command: string;
  /** In order, in hex, whole: with `struct nlmsghdr`. */
  readonly datagrams: readonly { readonly to: "kernel" | "user"; readonly hex: string }[];
  /** Its standard output, if that was JSON. */
  readonly printed: unknown;
  readonly error: string;
}

type Name =
  | "vfs"
  | "vf"
  | "refused-vlan"
  | "refused-vf"
  | "refused-name"
  | "refused-mtu"
  | "shared"
  | "exclusive"
  | "no-devices"
  | "devices"
  | "rename"
  | "move";

export const guest: Readonly<Record<Name, Exchange>> = JSON.parse(
  readFileSync(new URL("guest.json", import.meta.url), "utf8"),
);

/** All datagrams that went one way. */
export const all = ({ datagrams }: Exchange, to: "kernel" | "user"): Buffer[] =>
  datagrams.filter((d) => d.to === to).map((d) => Buffer.from(d.hex, "hex"));

/** The last of them. */
export const last = (exchange: Exchange, to: "kernel" | "user"): Buffer => all(exchange, to).at(-1)!;

/** What follows `struct nlmsghdr` in a datagram of one message. */
export const bodyOf = (datagram: Buffer): Buffer => datagram.subarray(16, datagram.readUInt32LE(0));

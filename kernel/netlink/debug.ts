import type { AddressMessage, LinkMessage, RouteMessage, RuleMessage } from "netlink/dist/rt/structs.js";
import { decodeReplies, errorOf, NLMSG_DONE, NLMSG_ERROR, type Reply } from "./message.ts";

/** Shows one datagram: ">" to the kernel, "<" from it. */
type Show = (direction: ">" | "<", protocol: number, datagram: Buffer, what?: string) => void;

/** Called by connections with every datagram; does nothing unless {@link traceMessages} was called in this thread. */
export const tracer: { write?: Show } = {};

type Parsed = AddressMessage | LinkMessage | RouteMessage | RuleMessage;
type Parsers = Readonly<Record<number, (body: Buffer) => Parsed>>;

const NETLINK_ROUTE = 0;
/** Message types of rtnetlink, include/uapi/linux/rtnetlink.h, without `RTM_`. */
const RTM: Readonly<Record<number, string>> = {
  16: "NEWLINK",
  17: "DELLINK",
  18: "GETLINK",
  19: "SETLINK",
  20: "NEWADDR",
  21: "DELADDR",
  22: "GETADDR",
  24: "NEWROUTE",
  25: "DELROUTE",
  26: "GETROUTE",
  32: "NEWRULE",
  33: "DELRULE",
  34: "GETRULE",
  108: "NEWLINKPROP",
  109: "DELLINKPROP",
};

/**
 * Passes every netlink message of this thread to `to`, one line each: `RAILNET_DEBUG=netlink`. For people, not for
 * programs; `to` must not be standard output, which belongs to CNI. The `netlink` package does the decoding here: loading
 * it takes 2.5 ms, too much for every plugin call, so it is loaded only now.
 */
export async function traceMessages(to: (line: string) => void): Promise<void> {
  const rt = await import("netlink/dist/rt/structs.js");
  const parsers = {
    ...byObject(16, rt.parseLinkMessage),
    ...byObject(20, rt.parseAddressMessage),
    ...byObject(24, rt.parseRouteMessage),
    ...byObject(32, rt.parseRuleMessage),
  };
  tracer.write = (direction, protocol, datagram, what) => {
    for (const line of describe(direction, protocol, datagram, parsers))
      to(`netlink ${line}${what ? ` # ${what}` : ""}`);
  };
}

/** NEW, DEL, GET and SET of one object have the same body. */
const byObject = (first: number, parse: (body: Buffer) => Parsed): Parsers =>
  Object.fromEntries([0, 1, 2, 3].map((i) => [first + i, parse]));

function* describe(direction: string, protocol: number, datagram: Buffer, parsers: Parsers): Generator<string> {
  try {
    for (const message of decodeReplies(datagram)) {
      const { type, flags, seq, body } = message;
      const name = protocol === NETLINK_ROUTE ? (RTM[type] ?? type) : `${protocol}/${type}`;
      yield type === NLMSG_ERROR || type === NLMSG_DONE
        ? `${direction} ${seq} ${acknowledgement(message)}`
        : `${direction} ${seq} ${name} flags 0x${flags.toString(16)} ${fields(body, protocol === NETLINK_ROUTE ? parsers[type] : undefined)}`;
    }
  } catch (error) {
    yield `${direction} ${(error as Error).message}: ${datagram.toString("hex")}`;
  }
}

function acknowledgement(message: Reply): string {
  const done = message.type === NLMSG_DONE ? "done" : "ack";
  return (message.body.length >= 4 ? errorOf(message, "do this")?.message : undefined) ?? done;
}

/** The body as the package decodes it, or as bytes where it cannot. */
function fields(body: Buffer, parse: ((body: Buffer) => Parsed) | undefined): string {
  try {
    if (parse) return `${JSON.stringify(parse(body), printable)}`;
  } catch {
    // The package has no codec for some attributes: show the bytes.
  }
  return body.toString("hex");
}

function printable(_key: string, value: unknown): unknown {
  const { type, data } = (value ?? {}) as { type?: unknown; data?: number[] };
  if (type === "Buffer" && data) return Buffer.from(data).toString("hex");
  return typeof value === "bigint" ? Number(value) : value;
}

import { isIPv6 } from "node:net";
import { type Attribute, attribute, attributes, readU32, u32 } from "./netlink/attribute.ts";
import { ipBytes, ipText } from "./netlink/ip-bytes.ts";
import { type Message, NLM_F_CREATE, NLM_F_EXCL } from "./netlink/message.ts";

/** include/uapi/linux/fib_rules.h. */
const RTM_NEWRULE = 32;
const RTM_DELRULE = 33;
const RTM_GETRULE = 34;
const FRA_SRC = 2;
const FRA_PRIORITY = 6;
const FRA_TABLE = 15;
const FR_ACT_TO_TBL = 1;
const AF_INET = 2;
const AF_INET6 = 10;

/** `from <CIDR> lookup <table>`. */
export interface Rule {
  readonly from: string;
  readonly table: number;
  readonly priority: number;
}

/** Refused with `EEXIST` when there is the same. */
export const addRule = (rule: Rule): Message => message(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, "add", rule);
export const deleteRule = (rule: Rule): Message => message(RTM_DELRULE, 0, "delete", rule);

/** For dump(). */
export function listRules(): Message {
  return { what: "list rules", type: RTM_GETRULE, body: Buffer.alloc(12) };
}

function message(type: number, flags: number, verb: string, { from, table, priority }: Rule): Message {
  const [ip = "", bits] = from.split("/");
  const header = Buffer.alloc(12);
  header[0] = isIPv6(ip) ? AF_INET6 : AF_INET;
  header[2] = Number(bits);
  header[7] = FR_ACT_TO_TBL;
  const body = Buffer.concat([
    header,
    attribute(FRA_SRC, ipBytes(ip)),
    u32(FRA_PRIORITY, priority),
    u32(FRA_TABLE, table),
  ]);
  return { what: `${verb} rule from ${from}`, type, flags, body };
}

/** Body of a RTM_NEWRULE message; undefined for a rule without a source. */
export function parseRule(body: Buffer): Rule | undefined {
  const found = new Map<number, Attribute>([...attributes(body.subarray(12))].map((a) => [a.type, a]));
  const src = found.get(FRA_SRC);
  if (!src) return undefined;
  const number = (type: number) => (found.has(type) ? readU32(found.get(type)!) : 0);
  return {
    from: `${ipText(src.data)}/${body.readUInt8(2)}`,
    table: number(FRA_TABLE) || body.readUInt8(4),
    priority: number(FRA_PRIORITY),
  };
}

import { type Attribute, attribute, attributes, readText, readU32, text, u32 } from "./netlink/attribute.ts";
import { ipText, splitCidr } from "./netlink/ip-bytes.ts";
import { type Message, NLM_F_CREATE, NLM_F_EXCL } from "./netlink/message.ts";
import { AF_INET, AF_INET6 } from "./protocols.ts";

/** `RTM_*`: include/uapi/linux/rtnetlink.h; the rest: include/uapi/linux/fib_rules.h. */
const RTM_NEWRULE = 32;
const RTM_DELRULE = 33;
const RTM_GETRULE = 34;
const FRA_SRC = 2;
const FRA_IIFNAME = 3;
const FRA_PRIORITY = 6;
const FRA_TABLE = 15;
const FR_ACT_UNSPEC = 0;
const FR_ACT_TO_TBL = 1;
const RT_TABLE_UNSPEC = 0;

/** `from <CIDR> [iif <link>] lookup <table>`. */
export interface Rule {
  readonly from: string;
  /** Only for packets that came in on this link. */
  readonly iif?: string;
  readonly table: number;
  readonly priority: number;
}

/** Refused with `EEXIST` when there is an identical one. */
export const addRule = (rule: Rule): Message => message("add", rule);
/** Adds a rule even if there is an identical one: each is then removed by whoever added it. */
export const addRuleBeside = (rule: Rule): Message => ({ ...addRule(rule), flags: NLM_F_CREATE });
/** Refused with `ENOENT` when there is none. */
export const deleteRule = (rule: Rule): Message => message("delete", rule);

/** For dump(). */
export function listRules(): Message {
  return { what: "list rules", type: RTM_GETRULE, body: Buffer.alloc(12) };
}

/** `struct fib_rule_hdr` and attributes, in ip(8)'s order. A table above 255 does not fit into the header's byte. */
function message(verb: "add" | "delete", { from, iif, table, priority }: Rule): Message {
  const { bytes, bits } = splitCidr(from);
  const header = Buffer.alloc(12);
  header[0] = bytes.length === 16 ? AF_INET6 : AF_INET;
  header[2] = bits;
  header[4] = table < 256 ? table : RT_TABLE_UNSPEC;
  header[7] = verb === "add" ? FR_ACT_TO_TBL : FR_ACT_UNSPEC;
  const body = Buffer.concat([
    header,
    attribute(FRA_SRC, bytes),
    ...(iif === undefined ? [] : [text(FRA_IIFNAME, iif)]),
    ...(table < 256 ? [] : [u32(FRA_TABLE, table)]),
    u32(FRA_PRIORITY, priority),
  ]);
  const what = `${verb} rule from ${from}`;
  return verb === "add"
    ? { what, type: RTM_NEWRULE, flags: NLM_F_CREATE | NLM_F_EXCL, body }
    : { what, type: RTM_DELRULE, body };
}

/** Body of a RTM_NEWRULE message; undefined for a rule without a source. */
export function parseRule(body: Buffer): Rule | undefined {
  const found = new Map<number, Attribute>(attributes(body.subarray(12)).map((a) => [a.type, a]));
  const src = found.get(FRA_SRC);
  if (!src) return undefined;
  const number = (type: number) => (found.has(type) ? readU32(found.get(type)!) : 0);
  const iif = found.get(FRA_IIFNAME);
  return {
    from: `${ipText(src.data)}/${body.readUInt8(2)}`,
    table: number(FRA_TABLE) || body.readUInt8(4),
    priority: number(FRA_PRIORITY),
    ...(iif && { iif: readText(iif) }),
  };
}

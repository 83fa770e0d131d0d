import { type Attribute, attribute, attributes, nested, readU32, u8, u32 } from "./netlink/attribute.ts";
import { macBytes, macText } from "./netlink/mac-bytes.ts";

/** `IFF_*` that `ip link set` changes, include/uapi/linux/if.h; with `off` the setting is the inverse of the flag. */
const FLAGS = {
  debug: { flag: 0x4 },
  trailers: { flag: 0x20, off: true },
  arp: { flag: 0x80, off: true },
  promisc: { flag: 0x100 },
  allmulticast: { flag: 0x200 },
  multicast: { flag: 0x1000 },
  portsel: { flag: 0x2000 },
  automedia: { flag: 0x4000 },
  dynamic: { flag: 0x8000 },
} as const satisfies Record<string, { flag: number; off?: true }>;

/** `IFLA_*` that are read and set alike, include/uapi/linux/if_link.h, in the order in which `do_setlink()` applies them. */
const ATTRIBUTES = {
  group: { type: 27, kind: "u32" },
  broadcast: { type: 2, kind: "mac" },
  txqlen: { type: 13, kind: "u32" },
  gsoMaxSize: { type: 41, kind: "u32" },
  gsoMaxSegs: { type: 40, kind: "u32" },
  groMaxSize: { type: 58, kind: "u32" },
  gsoIpv4MaxSize: { type: 63, kind: "u32" },
  groIpv4MaxSize: { type: 64, kind: "u32" },
  /** 0 is `default`, 1 `dormant`, 2 `testing`. */
  mode: { type: 17, kind: "u8" },
} as const satisfies Record<string, { type: number; kind: "u8" | "u32" | "mac" }>;

type FlagName = keyof typeof FLAGS;
type AttributeName = keyof typeof ATTRIBUTES;
type ValueOf<N extends AttributeName> = (typeof ATTRIBUTES)[N]["kind"] extends "mac" ? string : number;

/**
 * What `ip link set` can change besides name, MAC, MTU, alias and up or down, under its keywords: a flag is true when it
 * is `on`. Attributes that the kernel does not know are absent.
 */
export type LinkSettings = { readonly [N in FlagName]: boolean } & { readonly [N in AttributeName]?: ValueOf<N> };
export type LinkSetting = keyof LinkSettings;

const FLAG_NAMES = Object.keys(FLAGS) as FlagName[];
const ATTRIBUTE_NAMES = Object.keys(ATTRIBUTES) as AttributeName[];

const NAME_OF = new Map<number, AttributeName>(ATTRIBUTE_NAMES.map((name) => [ATTRIBUTES[name].type, name]));

/** @param flags `ifi_flags` of the message; @param found all its attributes. */
export function readSettings(flags: number, found: Iterable<Attribute>): LinkSettings {
  const settings: Record<string, boolean | number | string> = {};
  for (const name of FLAG_NAMES) settings[name] = ((flags & FLAGS[name].flag) !== 0) !== "off" in FLAGS[name];
  for (const a of found) {
    const name = NAME_OF.get(a.type);
    if (name) settings[name] = readValue(ATTRIBUTES[name].kind, a);
  }
  return settings as unknown as LinkSettings;
}

function readValue(kind: "u8" | "u32" | "mac", a: Attribute): number | string {
  if (kind === "mac") return macText(a.data);
  return kind === "u8" ? (a.data[0] ?? 0) : readU32(a);
}

/** `ifi_flags` and `ifi_change`. */
export function settingFlags(settings: Partial<LinkSettings>): [flags: number, change: number] {
  const given = FLAG_NAMES.filter((name) => settings[name] !== undefined);
  const isSet = (name: FlagName) => settings[name] !== "off" in FLAGS[name];
  const sum = (names: readonly FlagName[]) => names.reduce((all, name) => all | FLAGS[name].flag, 0);
  return [sum(given.filter(isSet)), sum(given)];
}

export function settingAttributes(settings: Partial<LinkSettings>): Buffer[] {
  return ATTRIBUTE_NAMES.flatMap((name) => {
    const [{ type, kind }, value] = [ATTRIBUTES[name], settings[name]];
    if (value === undefined) return [];
    if (kind === "mac") return [attribute(type, macBytes(String(value)))];
    return [kind === "u8" ? u8(type, Number(value)) : u32(type, Number(value))];
  });
}

/** Where a packet meets an XDP program: `XDP_FLAGS_*_MODE` of a request, `IFLA_XDP_*_PROG_ID` of a reply. */
const XDP_MODES = { generic: { flag: 2, id: 6 }, native: { flag: 4, id: 5 }, offloaded: { flag: 8, id: 7 } } as const;
export type XdpMode = keyof typeof XDP_MODES;
export const IFLA_XDP = 43;
const IFLA_XDP_FD = 1;
const IFLA_XDP_FLAGS = 3;

/** An attached program, with the kernel's ID for it. */
export interface XdpProgram {
  readonly mode: XdpMode;
  readonly id: number;
}

/** From an IFLA_XDP attribute. */
export function readXdp({ data }: Attribute): XdpProgram[] {
  const ids = new Map(attributes(data).map((a) => [a.type, a]));
  return (Object.keys(XDP_MODES) as XdpMode[]).flatMap((mode) => {
    const id = ids.get(XDP_MODES[mode].id);
    return id ? [{ mode, id: readU32(id) }] : [];
  });
}

/** Detaches the program of a mode. Refused with `EBUSY` when a bpf_link holds it. */
export function xdpOff(mode: XdpMode): Buffer {
  const none = Buffer.alloc(4);
  none.writeInt32LE(-1);
  return nested(IFLA_XDP, [attribute(IFLA_XDP_FD, none), u32(IFLA_XDP_FLAGS, XDP_MODES[mode].flag)]);
}

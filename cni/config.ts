import type { VfState } from "../kernel/vf.ts";
import { isAttachName, isSriovName, notIpam } from "./attach-names.ts";
import { boolean, integer, invalid, oneOf, text } from "./fields.ts";
import { CniError, CODE } from "./protocol/error.ts";
import { spelling } from "./protocol/keys.ts";
import type { NetworkConfig } from "./protocol/network-config.ts";
import type { Call } from "./protocol/request.ts";
import { readVfSettings, VF_KEYS } from "./vf-settings.ts";

/** What happens to a VF's RDMA device: `auto` moves it if there is one, `required` insists, `off` leaves it. */
export type RdmaMode = "auto" | "required" | "off";

/** How long ADD waits for an RDMA device, and what it does when that was not enough; `off`: it does not look. */
export interface RdmaReady {
  readonly otherwise: "fail" | "warn" | "off";
  readonly waitMs: number;
}

/** What of `expect` can be compared with in a pod, or is told there. */
export interface RailExpectations {
  readonly speedGbps?: number;
  /** Bytes: active MTU of the RDMA device, MTU of the link. */
  readonly roceMtu?: number;
  readonly linkMtu?: number;
  /** Of RoCE packets, IP's TOS byte: told to the workload. */
  readonly trafficClass?: number;
}

/** A policy rule `from <address> lookup <table>` for each address, so that replies leave by the rail they came in on. */
export interface SourceRules {
  /** Routing table; default 1000 + the link's index. */
  readonly table?: number;
  /** Rule priority, default 1000. */
  readonly priority: number;
}

/** The network configuration of `railnet-sriov`, checked: sriov-cni's keys with its meaning, and ours. */
export interface AttachConfig {
  readonly network: string;
  /** PCI address of the VF. */
  readonly deviceID: string;
  /** What to set at the PF; absent keys are left alone. */
  readonly vf: Partial<VfState>;
  /** Lower case; for the link and, at the PF, the administrative MAC. */
  readonly mac?: string;
  /** Bytes. */
  readonly mtu?: number;
  /** PF name, PCI address, or index among the PFs ordered by PCI address. */
  readonly rail?: string | number;
  readonly rdma: RdmaMode;
  /** Whether ADD waits until the RDMA device can be used with the pod's addresses; absent: as `rdma` and `expect` say. */
  readonly rdmaReady?: RdmaReady;
  /** What the rail shall have. */
  readonly expect?: RailExpectations;
  /** Keys below `net.`; `IFNAME` stands for the interface. */
  readonly sysctl: Readonly<Record<string, string>>;
  readonly sourceRules?: SourceRules;
  readonly duplicateAddressProbe: boolean;
  /** The VF's MAC is made administrative while the pod has it, so that the pod cannot change it. */
  readonly pinMac: boolean;
  readonly ipamType?: string;
  readonly deviceInfoFile?: string;
}

/** Keys that sriov-cni has too, or that Multus passes to it. */
const SHARED_KEYS = ["deviceID", "pciBusID", "mac", "logFile", "logLevel", ...VF_KEYS];

const OWN_KEYS = ["rail", "mtu", "rdma", "rdmaReady", "expect", "sysctl", "sourceRules", "duplicateAddressProbe", "pinMac", "rails", "interface"]; // biome-ignore format: one row
const spellOwn = spelling(...OWN_KEYS);
const spellConfig = spelling(...SHARED_KEYS, ...OWN_KEYS);

/** Those among them that concern several rails: cni/rail-calls.ts. */
const SET_KEYS = ["rails", "interface"];

/** What an entry of `rails` may set for its rail alone, beside its name. */
export const ENTRY_KEYS: readonly string[] = [
  ...OWN_KEYS.filter((key) => !SET_KEYS.includes(key)),
  "mac",
  ...VF_KEYS,
  "ipam",
];

/**
 * A call with the plugin's keys in our spelling, whatever their case: sriov-cni's decoder accepts any. Called as `sriov`,
 * in place of sriov-cni, the plugin behaves exactly like it: keys that sriov-cni does not have are dropped. Under its own
 * name, an empty string counts as absent, and a boolean as what it says.
 */
export function withOwnKeys<C extends Pick<Call, "config" | "request">>(call: C): C {
  const config = spellConfig(call.config);
  const own = isSriovName(call.request.name) ? OWN_KEYS.map((key) => [key, undefined]) : ownForms(config);
  return { ...call, config: { ...config, ...Object.fromEntries(own) } as NetworkConfig };
}

/** Our own keys in a configuration written for sriov-cni, where they have no effect. */
export function ignoredKeys({ config, request }: Pick<Call, "config" | "request">): string[] {
  if (!isSriovName(request.name)) return [];
  const given = spellOwn(config);
  return OWN_KEYS.filter((key) => given[key] !== undefined && given[key] !== null);
}

/** Converts alternative notations of values to the one that is read. */
function ownForms(config: Record<string, unknown>): [string, unknown][] {
  const empty = OWN_KEYS.filter((key) => config[key] === "").map((key): [string, unknown] => [key, undefined]);
  const switches = ["spoofchk", "trust"].filter((key) => typeof config[key] === "boolean");
  return [
    ...empty,
    ...switches.map((key): [string, unknown] => [key, config[key] ? "on" : "off"]),
    ...(typeof config.rdma === "boolean" ? [["rdma", config.rdma ? "required" : "off"] as [string, unknown]] : []),
  ];
}

/** @throws {CniError} 7 naming field, value and fix. */
export function readConfig(given: Call): AttachConfig {
  const call = withOwnKeys(given);
  const { config } = call;
  const mac = readMac(call);
  const mtu = integer(config, "mtu", 68, 65535);
  const rail = readRail(config.rail);
  const sourceRules = readSourceRules(config.sourceRules);
  const rdmaReady = readRdmaReady(config.rdmaReady);
  const expect = readExpect(config.expect);
  const deviceInfoFile = text(config.runtimeConfig ?? {}, "CNIDeviceInfoFile");
  const ipamType = readIpamType(call);
  return {
    network: config.name,
    deviceID: readDeviceId(config),
    vf: readVfSettings(config),
    rdma: oneOf(config, "rdma", ["auto", "required", "off"]) ?? "auto",
    sysctl: readSysctl(config.sysctl),
    duplicateAddressProbe: boolean(config, "duplicateAddressProbe") ?? false,
    pinMac: boolean(config, "pinMac") ?? false,
    ...(mac && { mac }),
    ...(mtu !== undefined && { mtu }),
    ...(rail !== undefined && { rail }),
    ...(sourceRules && { sourceRules }),
    ...(rdmaReady && { rdmaReady }),
    ...(expect && { expect }),
    ...(ipamType && { ipamType }),
    ...(deviceInfoFile && { deviceInfoFile }),
  };
}

/**
 * PCI addresses of VFs, one or, for a set, several separated by commas: runtimeConfig wins; `deviceID` and Multus'
 * `pciBusID` must not differ.
 *
 * @throws {CniError} 7.
 */
export function givenDevice(config: NetworkConfig): string {
  const fromRuntime = text(config.runtimeConfig ?? {}, "deviceID");
  const device = text(config, "deviceID");
  const bus = text(config, "pciBusID");
  if (!fromRuntime && device && bus && device !== bus)
    throw invalid("deviceID", device, `pciBusID says "${bus}"; give one of them`);
  const id = fromRuntime || device || bus;
  if (id) return id;
  throw new CniError(
    CODE.INVALID_CONFIG,
    "cannot read the configuration: deviceID, the VF's PCI address, is missing; " +
      "annotate the NetworkAttachmentDefinition with k8s.v1.cni.cncf.io/resourceName and let the pod request that resource",
  );
}

function readDeviceId(config: NetworkConfig): string {
  const id = givenDevice(config);
  if (id.includes(","))
    throw invalid(
      "deviceID",
      id,
      'it is a set of VFs, one of each rail; the network needs "rails", one entry for each',
    );
  if (!/^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/i.test(id))
    throw invalid("deviceID", id, "want a PCI address such as 0000:af:06.0");
  return id.toLowerCase();
}

/** Precedence as in sriov-cni: runtimeConfig.mac, then CNI_ARGS `MAC=`, then (only ours) args.cni.mac, then `mac`. */
function readMac({ config, args, request }: Call): string | undefined {
  const given: [field: string, value: string | undefined][] = [
    ["runtimeConfig.mac", text(config.runtimeConfig ?? {}, "mac")],
    ["CNI_ARGS MAC", args.MAC],
    ["args.cni.mac", isSriovName(request.name) ? undefined : text(config.args?.cni ?? {}, "mac")],
    ["mac", text(config, "mac")],
  ];
  const [field, value] = given.find(([, v]) => v) ?? [];
  if (!field || !value) return undefined;
  const mac = value.toLowerCase().replaceAll("-", ":");
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac))
    throw invalid(field, value, "want six bytes such as 02:00:00:00:00:01");
  if (Number.parseInt(mac.slice(0, 2), 16) & 1)
    throw invalid(field, value, "it is a multicast address; clear the lowest bit of its first byte");
  if (mac === "00:00:00:00:00:00")
    throw invalid(field, value, "all zeroes is not an address; leave the field out to keep the VF's own");
  return mac;
}

/**
 * @throws {CniError} 7 for this plugin itself, under any of its names: it would ask itself for addresses, recursively.
 */
function readIpamType(call: Call): string | undefined {
  const type = call.config.ipam?.type;
  if (type && isAttachName(type, call.request.name)) throw notIpam(type);
  return type;
}

/** @throws {CniError} 7. */
export function readRail(rail: unknown): string | number | undefined {
  if (rail === undefined || rail === null || rail === "") return undefined;
  if (typeof rail === "number" && Number.isInteger(rail) && rail >= 0) return rail;
  if (typeof rail === "string") return rail;
  throw invalid("rail", rail, "want a PF name, a PCI address or an index from 0");
}

const spellRule = spelling("table", "priority");

function readSourceRules(value: unknown): SourceRules | undefined {
  if (value === undefined || value === null || value === false) return undefined;
  if (value === true) return { priority: 1000 };
  if (typeof value !== "object") throw invalid("sourceRules", value, "want true or {table, priority}");
  const given = spellRule(value);
  const table = integer(given, "table", 1, 2 ** 32 - 1);
  return { priority: integer(given, "priority", 1, 32765) ?? 1000, ...(table !== undefined && { table }) };
}

/** Longer would be the runtime's patience. */
const MOST_WAIT_MS = 30_000;
const OTHERWISE = ["fail", "warn", "off"] as const;
export const READY_WAIT_MS = 1_000;

const spellReady = spelling("otherwise", "waitMs");

function readRdmaReady(value: unknown): RdmaReady | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  const given = typeof value === "string" ? { otherwise: value } : value;
  if (typeof given !== "object" || Array.isArray(given))
    throw invalid("rdmaReady", value, 'want "fail", "warn", "off" or {otherwise, waitMs}');
  const known = spellReady(given);
  return {
    otherwise: oneOf(known, "otherwise", OTHERWISE) ?? "fail",
    waitMs: integer(known, "waitMs", 0, MOST_WAIT_MS) ?? READY_WAIT_MS,
  };
}

const spellExpect = spelling("speedGbps", "roceMtu", "linkMtu", "trafficClass");

/** The keys of a RailNetwork's `expect` that are the node's to compare (firmware, say) are left to it. */
function readExpect(value: unknown): RailExpectations | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "object" || Array.isArray(value))
    throw invalid("expect", value, "want {speedGbps, roceMtu, linkMtu, trafficClass}, each optional");
  const given = spellExpect(value);
  const speedGbps = integer(given, "speedGbps", 1, 10_000);
  const roceMtu = integer(given, "roceMtu", 256, 4096);
  const linkMtu = integer(given, "linkMtu", 68, 65535);
  const trafficClass = integer(given, "trafficClass", 0, 255);
  return {
    ...(speedGbps !== undefined && { speedGbps }),
    ...(roceMtu !== undefined && { roceMtu }),
    ...(linkMtu !== undefined && { linkMtu }),
    ...(trafficClass !== undefined && { trafficClass }),
  };
}

function readSysctl(value: unknown): Readonly<Record<string, string>> {
  if (value === undefined || value === null) return {};
  if (typeof value !== "object" || Array.isArray(value)) throw invalid("sysctl", value, 'want {"net.…": "value"}');
  for (const [key, setting] of Object.entries(value)) {
    if (!/^net(\.[\w-]+)+$/.test(key)) throw invalid("sysctl", key, "only keys below net. are allowed");
    if (typeof setting !== "string" || /[\n\0]/.test(setting))
      throw invalid(`sysctl ${key}`, setting, "want a string of one line");
  }
  return value as Record<string, string>;
}

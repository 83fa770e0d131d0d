import { closeSync, fstatSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { codeOf, isMissing } from "../kernel/errno.ts";
import { isSriovName } from "./attach-names.ts";
import { Journal } from "./attachment/journal.ts";
import type { Attachment } from "./attachment/record.ts";
import { ENTRY_KEYS } from "./config.ts";
import { invalid } from "./fields.ts";
import type { Host } from "./host.ts";
import { CniError, CODE } from "./protocol/error.ts";
import { spelling } from "./protocol/keys.ts";
import { type NetworkConfig, readNetworkConfig } from "./protocol/network-config.ts";
import type { Call } from "./protocol/request.ts";

/** A RailNetwork's settings for configurations that refer to it, in their terms. */
export interface ReferredNetwork {
  readonly name: string;
  /** Keys that a configuration may set itself; `ips` and `mac` also a pod. */
  readonly allow: readonly string[];
  readonly rails: readonly ReferredRail[];
  /** Namespaces whose pods may use it; absent: all. */
  readonly namespaces?: readonly string[];
  /** Why nobody can use it: a mistake that an older definition allowed. */
  readonly wrong?: string;
}

export interface ReferredRail {
  readonly name: string;
  /** The device plugin's resource by which this rail's VFs come. */
  readonly resource: string;
  /** The link's name in a pod that has all rails. */
  readonly interface: string;
  /** Keys of a network configuration, including `ipam`. */
  readonly config: Readonly<Record<string, unknown>>;
}

/** In the state directory: root's alone, replaced atomically; the last that the node's agent received, also while the API server is away. */
export const REFERENCES = "rail-networks.json";

/** What a RailNetwork decides where a configuration refers to one: all settings of a rail, including future ones. */
const GOVERNED = ENTRY_KEYS.filter((key) => key !== "rail" && key !== "ipam");
/** What it never leaves to others. */
const NEVER = ["ipam", "rails", "interface"];
const spellNetwork = spelling("network");
const spellAll = spelling("network", "rail", ...GOVERNED, ...NEVER);

/**
 * A call whose configuration refers to a RailNetwork, `{"type": "railnet-sriov", "network": "ishikari", "rail": "rail0"}`, as
 * if it contained all those settings; without `rail` it means all rails. Other calls are returned unchanged. An ADD's record
 * has the result: DEL and CHECK use that, whatever has become of the RailNetwork since.
 *
 * @throws {CniError} 11 when this node has not received any RailNetwork yet; 7 for one that it does not know, and for what
 *   it does not allow. Never for a DEL or a GC.
 */
export function withReference(call: Call, host: Pick<Host, "paths" | "log">): Call {
  const { network } = spellNetwork(call.config);
  if (network === undefined || network === null || isSriovName(call.request.name)) return call;
  if (call.verb === "CHECK") return asRecorded(call, host) ?? resolve(call, host);
  if (call.verb !== "DEL" && call.verb !== "GC") return resolve(call, host);
  try {
    return resolve(call, host);
  } catch (err) {
    host.log.debug({ err, network }, "a network's RailNetwork is not known: its addresses are released by the records");
    return call;
  }
}

function resolve(call: Call, { paths }: Pick<Host, "paths">): Call {
  const { network, rail, ...said } = spellAll(call.config);
  const referred = find(network, readReferences(join(paths.stateDir, REFERENCES)));
  const rails = rail === undefined || rail === null || rail === "" ? referred.rails : [findRail(rail, referred)];
  if (call.verb === "ADD") refuseUnallowed(call, said, referred);
  const isAllowed = (key: string) => GOVERNED.includes(key) && referred.allow.includes(key);
  const own = Object.entries(said).filter(([key]) => ![...GOVERNED, ...NEVER].includes(key) || isAllowed(key));
  const [one] = rails;
  const decided =
    rails.length === 1 && rail
      ? one!.config
      : { rails: rails.map(({ interface: name, config }) => ({ name, ...config })) };
  return withConfig(call, { ...decided, ...Object.fromEntries(own) } as NetworkConfig);
}

function find(network: unknown, known: readonly ReferredNetwork[]): ReferredNetwork {
  if (typeof network !== "string" || network === "")
    throw invalid("network", network, 'want the name of a RailNetwork such as "ishikari"');
  const found = known.find(({ name }) => name === network);
  if (found?.wrong === undefined && found) return found;
  if (found) throw invalid("network", network, `its RailNetwork cannot be used: ${found.wrong}`);
  const names = known.map(({ name }) => name).join(", ") || "none";
  throw invalid(
    "network",
    network,
    `no RailNetwork of this name with pods selects this node, which follows ${names} (kubectl get railnetworks)`,
  );
}

function findRail(rail: unknown, { name: network, rails }: ReferredNetwork): ReferredRail {
  const found = rails.find(({ name }) => name === rail);
  if (found) return found;
  const names = rails.map(({ name }) => name).join(", ") || "none";
  throw invalid("rail", rail, `RailNetwork ${network} has ${names} on this node`);
}

/** Named, so that the author knows what to leave out, or whom to ask. */
function refuseUnallowed(call: Call, said: object, { name, allow }: ReferredNetwork): void {
  for (const { key, field, value } of asked(call, said))
    if (!allow.includes(key) || NEVER.includes(key))
      throw invalid(
        field,
        value,
        `RailNetwork ${name} sets this; pods and networks may set ${allow.join(", ") || "nothing"} themselves ` +
          "(spec.pods.allow); leave it out",
      );
}

function asked({ config, args }: Call, said: object): { key: string; field: string; value: unknown }[] {
  const settings = Object.entries(said).filter(([key]) => GOVERNED.includes(key) || NEVER.includes(key));
  const requests: [key: string, field: string, value: unknown][] = [
    ["mac", "runtimeConfig.mac", config.runtimeConfig?.["mac"]],
    ["mac", "args.cni.mac", config.args?.cni?.["mac"]],
    ["mac", "CNI_ARGS MAC", args["MAC"]],
    ["ips", "runtimeConfig.ips", config.runtimeConfig?.["ips"]],
    ["ips", "args.cni.ips", config.args?.cni?.["ips"]],
    ["ips", "CNI_ARGS IP", args["IP"]],
  ];
  return [...settings.map(([key, value]) => ({ key, field: key, value })), ...requests.map(([key, field, value]) => ({ key, field, value }))].filter(({ value }) => !isEmpty(value)); // biome-ignore format: one row
}

const isEmpty = (value: unknown): boolean =>
  value === undefined || value === null || value === "" || (Array.isArray(value) && value.length === 0);

/** From the records of its ADD, for a set one per rail; undefined without one. */
function asRecorded(call: Call, { paths }: Pick<Host, "paths">): Call | undefined {
  const journal = new Journal(paths.stateDir);
  const one = journal.find(call.containerId, call.ifname);
  if (one && !one.set) return withConfig(call, { ...recordedConfig(one), ...saidNow(call) } as NetworkConfig);
  const set = journal.ofSet(call.containerId, call.ifname);
  const order = set[0]?.set?.rails;
  if (!order) return undefined;
  const all = set.toSorted((a, b) => order.indexOf(a.ifname) - order.indexOf(b.ifname));
  const deviceID = all.map(({ device }) => device.pci).join(",");
  const rails = all.map((a) => ({ name: a.ifname, ...pick(recordedConfig(a), [...GOVERNED, "ipam"]) }));
  const { cniVersion, name, type } = call.config;
  return withConfig(call, { cniVersion, name, type, ...saidNow(call), deviceID, rails } as NetworkConfig);
}

function recordedConfig({ request }: Attachment): Record<string, unknown> {
  const { prevResult: _, ...config } = readNetworkConfig(request.stdin, "CHECK");
  return config;
}

const saidNow = ({ config: { prevResult } }: Call): object => (prevResult === undefined ? {} : { prevResult });

const pick = (from: object, keys: readonly string[]): object =>
  Object.fromEntries(Object.entries(from).filter(([key]) => keys.includes(key)));

const withConfig = (call: Call, config: NetworkConfig): Call => ({
  ...call,
  config,
  request: { ...call.request, stdin: JSON.stringify(config) },
});

export function readReferences(file: string): readonly ReferredNetwork[] {
  const again = (why: string, cause?: unknown) =>
    new CniError(
      CODE.TRY_AGAIN_LATER,
      `cannot look up RailNetworks: ${why}; the node's agent writes this file once it has reached the API server (railnet doctor)`,
      { cause },
    );
  const text = readOwned(file);
  if (text === undefined) throw again(`${file} is missing`);
  try {
    const { references } = JSON.parse(text);
    if (Array.isArray(references)) return references;
  } catch (cause) {
    throw again(`${file} cannot be read: ${(cause as Error).message}`, cause);
  }
  throw again(`${file} was written by an older version`);
}

/** Files that others can write are refused. @throws {CniError} 7. */
export function readOwned(file: string): string | undefined {
  let fd: number;
  try {
    fd = openSync(file, "r");
  } catch (error) {
    if (isMissing(error) || codeOf(error) === "ENOTDIR") return undefined; // a file instead of the state directory: the journal reports it better
    throw error;
  }
  try {
    const { uid, mode } = fstatSync(fd);
    if ((uid !== 0 && uid !== process.geteuid?.()) || (mode & 0o022) !== 0)
      throw new CniError(
        CODE.INVALID_CONFIG,
        `cannot use ${file}: not only root can write it; remove it, and the agent will write it again`,
      );
    return readFileSync(fd, "utf8");
  } finally {
    closeSync(fd);
  }
}

import { object, required } from "../../cni/protocol/decode.ts";
import { CniError, CODE } from "../../cni/protocol/error.ts";
import type { Call } from "../../cni/protocol/request.ts";
import type { Dns, IpConfig, Route } from "../../cni/protocol/result.ts";
import { parseIp, toText } from "../address.ts";
import type { IpamHost } from "../host.ts";
import type { PoolRange } from "../pool-range.ts";
import type { Storage } from "../storage.ts";
import type { SlicedRange } from "../store/store.ts";
import { checkArgs, podOf } from "./args.ts";
import { type IpamFields, mergeFields, readIpamFields } from "./fields.ts";
import { ipsOf, readFixed } from "./fixed.ts";
import { readFlatFile, requireFlatFile, storageOf } from "./flat-file.ts";
import { requireObjectName, slicePoolName } from "./names.ts";
import { type RangeSettings, type ReadRange, readRanges, requireAddresses, toPoolRange } from "./ranges.ts";
import { readRequested } from "./requested.ts";
import { readSliceSize } from "./slices.ts";

/** The `ipam` object of a network configuration, checked: Whereabouts' keys with its meaning, and ours. */
export interface IpamConfig {
  readonly storage: Storage;
  /** In the order of the result. */
  readonly ranges: readonly PoolRange[];
  /** For every address from a range. */
  readonly gateway?: string;
  readonly routes: readonly Route[];
  readonly dns: Dns;
  /** `addresses` and those of CNI_ARGS `IP` that are in no range: appended, never recorded. */
  readonly fixed: readonly IpConfig[];
  /** For each range the address that the pod requests, canonical: in its network, and not excluded. */
  readonly asked: readonly (string | undefined)[];
  /** With `node_slice_size`: the NodeSlicePool that divides the first range. */
  readonly slices?: Pick<SlicedRange, "name" | "sliceSize">;
  /** `same_index`: prefers the same offset in the ranges of all rails of a pod. */
  readonly sameIndex: boolean;
  readonly podref: string;
  readonly podUid?: string;
}

type ConfigHost = Pick<IpamHost, "readText" | "policy" | "stateDir" | "log">;

/**
 * Reads the `ipam` object of a call with everything that belongs to it: flat file, CNI_ARGS, `runtimeConfig`. Order of the
 * steps and texts of the errors are Whereabouts' (pkg/config/config.go, v0.9.4); differences are listed in README.md here.
 *
 * ADD and CHECK are strict. For the other verbs, which only need to know where addresses are stored, a range that cannot
 * be used is skipped, and nothing is fixed or requested.
 *
 * @throws {CniError} 999 in Whereabouts' words; 6 and 7 in ours, naming the field.
 */
export function readIpamConfig(call: Call, host: ConfigHost): IpamConfig {
  const strict = call.verb === "ADD" || call.verb === "CHECK";
  const own = readOwn(call, host);
  if (strict) checkArgs(call);
  const flat = readFlatFile(own.fields, host);
  if (!flat) requireFlatFile(own.fields, host);
  const fields = mergeFields(own.fields, flat ?? {});
  const read = strict ? readRanges(fields) : readable(fields);
  const storage = storageOf(own.fields, flat, host, own);
  const gateway = readGateway(fields.gateway, strict);
  const ranges = toPoolRanges(read, settingsOf(fields, gateway, storage), strict);
  const given = strict ? addressesOf(call, fields, ranges, gateway) : { fixed: [], asked: [] };
  const slices = strict ? slicesOf(fields, ranges, call) : undefined;
  return {
    storage,
    ranges,
    ...(gateway && { gateway }),
    routes: fields.routes ?? [],
    dns: fields.dns ?? {},
    ...given,
    ...(slices && { slices }),
    sameIndex: fields.same_index ?? false,
    ...podOf(call, { named: call.verb === "ADD" && storage.kind === "kubernetes" }),
  };
}

/** From the network configuration, without what it may not set, with one warning. */
function readOwn({ config, request }: Call, { policy, log }: ConfigHost) {
  if (!config.ipam) throw new CniError(CODE.INTERNAL, "IPAM config missing 'ipam' key");
  const fields = required(readIpamFields)(required(object)(config.ipam, "ipam"), "ipam");
  requireAddresses(fields, "LoadIPAMConfig", request.stdin);
  if (!TYPES.includes(fields.type ?? ""))
    throw new CniError(
      CODE.INTERNAL,
      `only interested in networks whose IPAM type is 'whereabouts'. This one was: ${fields.type ?? ""}`,
    );
  const { kubernetes, log_file, configuration_path, ...others } = fields;
  const meansCluster = kubernetes?.kubeconfig !== undefined;
  if (policy.trustNetworkConfig) return { fields, meansCluster };
  const ignored = Object.entries({ "kubernetes.kubeconfig": kubernetes?.kubeconfig, log_file, configuration_path });
  const names = ignored.filter(([, path]) => path).map(([name]) => name);
  if (names.length > 0)
    log.warn(
      { network: config.name, fields: names },
      "fields that name files are ignored in a network configuration; trustNetworkConfig in node.json allows them",
    );
  return { fields: others, meansCluster };
}

const TYPES = ["whereabouts", "railnet-ipam"];

function readGateway(given: string | undefined, strict: boolean): string | undefined {
  const gateway = given === undefined ? undefined : parseIp(given, { sloppy: true });
  if (given !== undefined && !gateway && strict)
    throw new CniError(CODE.INTERNAL, `couldn't parse gateway IP: ${given}`);
  return gateway && toText(gateway);
}

function settingsOf(fields: IpamFields, gateway: string | undefined, storage: Storage): RangeSettings {
  return {
    network: fields.network_name ?? "",
    overlapping: fields.enable_overlapping_ranges ?? true,
    recorded: storage.kind === "kubernetes",
    sliced: Boolean(fields.node_slice_size),
    ...(fields.exclude_gateway && gateway && { excludeGateway: gateway }),
  };
}

function addressesOf(call: Call, fields: IpamFields, ranges: readonly PoolRange[], gateway: string | undefined) {
  const { addresses = [] } = fields;
  const { asked, outside } = readRequested(call, ranges, { gateway, fixed: ipsOf(addresses) });
  return { asked, fixed: readFixed(addresses, outside, call) };
}

function slicesOf(fields: IpamFields, [first]: readonly PoolRange[], { config }: Call): IpamConfig["slices"] {
  const { node_slice_size: sliceSize, network_name = "" } = fields;
  if (!sliceSize || !first) return undefined;
  readSliceSize(sliceSize, first.pool.cidr);
  const name = requireObjectName(slicePoolName(network_name, config.name), `the name of network ${config.name}`);
  return { name, sliceSize };
}

function toPoolRanges(read: readonly ReadRange[], settings: RangeSettings, strict: boolean): PoolRange[] {
  if (strict) return read.map((range, i) => toPoolRange(range, settings, i));
  return read.flatMap((range) => attempt(() => [toPoolRange({ ...range, exclude: [] }, settings)]));
}

/** The ranges that can be read, each on its own. */
function readable(fields: IpamFields): ReadRange[] {
  const { range: _, ...others } = fields;
  const { ipRanges = [], ...own } = fields;
  const entries = ipRanges.map((entry) => ({ ...others, ipRanges: [entry] }));
  return [own, ...entries].flatMap((one) => attempt(() => readRanges(one)));
}

function attempt<T>(read: () => T[]): T[] {
  try {
    return read();
  } catch (error) {
    if (error instanceof CniError) return [];
    throw error;
  }
}

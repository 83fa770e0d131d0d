import { networkOf, splitCidr } from "../kernel/netlink/ip-bytes.ts";
import { invalid } from "./fields.ts";
import { spelling } from "./protocol/keys.ts";
import type { NetworkConfig } from "./protocol/network-config.ts";
import type { Call } from "./protocol/request.ts";

/** A rail and its configuration. */
interface RailConfig {
  readonly name: string;
  readonly config: NetworkConfig;
}

/** What replaces the whole call's fields in a rail's call when addresses are requested. */
interface Asked {
  readonly config: Pick<NetworkConfig, "runtimeConfig" | "args">;
  readonly args?: string;
}

/**
 * Assigns the addresses that a pod requests (`runtimeConfig.ips`, `args.cni.ips`, CNI_ARGS `IP`) to the rails whose ranges
 * contain them: Multus passes all of them to a network at once.
 *
 * @returns one entry per rail; empty when the pod requests nothing.
 * @throws {CniError} 7 for an address in no rail's range.
 */
export function askedPerRail({ config, args, request }: Call, rails: readonly RailConfig[]): readonly Asked[] {
  const runtime = listOf(config.runtimeConfig?.["ips"]);
  const cni = listOf(config.args?.cni?.["ips"]);
  const fromArgs = (args["IP"] ?? "")
    .split(",")
    .map((one) => one.trim())
    .filter(Boolean);
  if (!runtime && !cni && fromArgs.length === 0) return [];
  const places = rails.map(({ name, config: one }) => ({ name, networks: networksIn(one.ipam ?? {}) }));
  const split = (at: string, ips: readonly unknown[] = []) => {
    const owners = ips.map((ip, i) => ownerOf(at.replace("#", `${i}`), ip, places));
    return rails.map((_, rail) => ips.filter((__, i) => owners[i] === rail));
  };
  const own = {
    runtime: split("runtimeConfig.ips[#]", runtime),
    cni: split("args.cni.ips[#]", cni),
    args: split("CNI_ARGS IP", fromArgs),
  };
  return rails.map((_, i) => ({
    config: {
      ...(config.runtimeConfig && { runtimeConfig: withIps(rails[i]!.config.runtimeConfig ?? {}, own.runtime[i]!) }),
      ...(config.args && {
        args: { ...config.args, ...(config.args.cni && { cni: withIps(config.args.cni, own.cni[i]!) }) },
      }),
    },
    ...(fromArgs.length > 0 && { args: withIp(request.env["CNI_ARGS"] ?? "", own.args[i]!.join(",")) }),
  }));
}

const listOf = (value: unknown): readonly unknown[] | undefined =>
  Array.isArray(value) && value.length > 0 ? value : undefined;

function withIps({ ips: _, ...others }: Readonly<Record<string, unknown>>, ips: readonly unknown[]) {
  return { ...others, ...(ips.length > 0 && { ips }) };
}

/** Thin Multus sends the key twice. */
function withIp(args: string, ip: string): string {
  const others = args.split(";").filter((pair) => !pair.startsWith("IP="));
  return [...others, ...(ip ? [`IP=${ip}`] : [])].join(";");
}

function ownerOf(at: string, ip: unknown, places: readonly { name: string; networks: readonly string[] }[]): number {
  const found = places.findIndex(({ networks }) => networks.some((network) => isIn(ip, network)));
  if (found >= 0) return found;
  const known = places.map(({ name, networks }) => `${name}: ${networks.join(", ") || "none"}`).join("; ");
  throw invalid(at, ip, `it is in no rail's range (${known}); request an address in one of these, or none`);
}

function isIn(ip: unknown, network: string): boolean {
  try {
    return networkOf(`${String(ip).split("/")[0]}/${splitCidr(network).bits}`) === networkOf(network);
  } catch {
    return false;
  }
}

const spellRanges = spelling("range", "ipRanges", "addresses", "subnet", "ranges");
const spellRange = spelling("range", "address", "subnet");

/** Ranges of `railnet-ipam` and Whereabouts, `static` and `host-local`; `10.0.0.5-10.0.0.9/24` is also in `10.0.0.0/24`. */
function networksIn(ipam: object): string[] {
  const { range, ipRanges, addresses, subnet, ranges } = spellRanges(ipam);
  const lists = [ipRanges, addresses, Array.isArray(ranges) ? ranges.flat() : []].flatMap((one) => listOf(one) ?? []);
  const inLists = lists.flatMap((one) => {
    const known = spellRange(Object(one));
    return [known["range"], known["address"], known["subnet"]];
  });
  return [range, subnet, ...inLists]
    .filter((one): one is string => typeof one === "string" && one.includes("/"))
    .map((one) => one.split("-").at(-1)!);
}

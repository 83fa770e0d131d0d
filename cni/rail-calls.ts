import { askedPerRail } from "./asked-per-rail.ts";
import { ENTRY_KEYS, givenDevice, withOwnKeys } from "./config.ts";
import { invalid } from "./fields.ts";
import { readArgs, whyNoLinkName } from "./protocol/environment.ts";
import { CniError, toCniError } from "./protocol/error.ts";
import { laidOver, spelling } from "./protocol/keys.ts";
import type { NetworkConfig } from "./protocol/network-config.ts";
import type { Call, RailSet } from "./protocol/request.ts";

/** One entry of `rails`: settings for this rail alone. */
interface Entry {
  readonly name: string;
  readonly settings: Readonly<Record<string, unknown>>;
}

/** As many as there are PCIe ports for a node's PFs; more is a mistake. */
const MOST_RAILS = 64;

/**
 * The calls that a call stands for: itself, or with `rails` in the configuration one for each rail, as if each had its own
 * network: entries override the top level, `ipam` overrides `ipam`. The first VF of `deviceID` is the first rail's.
 *
 * ADD and CHECK are strict. For the other verbs, which must do what they can, a list that cannot be read means the call
 * itself, and VFs may be missing.
 *
 * @throws {CniError} 7 naming field, value and fix.
 */
export function railCalls(given: Call): readonly Call[] {
  const call = withOwnKeys(given);
  const { rails, interface: template } = call.config;
  if (rails === undefined || rails === null) return [given];
  const isStrict = call.verb === "ADD" || call.verb === "CHECK";
  try {
    const entries = readEntries(rails, template);
    if (isStrict) refuseMac(call);
    const devices = devicesOf(call.config, entries, isStrict);
    const merged = entries.map(({ settings }, i) => configOf(call.config, settings, devices[i]));
    if (isStrict) refuseSharedTable(merged);
    const asked = isStrict
      ? askedPerRail(
          call,
          merged.map((config, i) => ({ name: entries[i]!.name, config })),
        )
      : [];
    const set: RailSet = { via: call.ifname, rails: entries.map(({ name }) => name) };
    return merged.map((config, i) => callOf(call, { ...config, ...asked[i]?.config }, set, i, asked[i]?.args));
  } catch (error) {
    if (isStrict || call.verb === "STATUS") throw error;
    return [given];
  }
}

/** The calls for which IPAM plugins are asked about a network as a whole: each plugin once for each of its configurations. */
export function ipamCalls(call: Call): readonly Call[] {
  const seen = new Set<string>();
  return railCalls(call).filter(({ config: { ipam } }) => {
    const text = JSON.stringify(ipam);
    return text !== undefined && !seen.has(text) && seen.add(text);
  });
}

/** Runs part of the work on one rail of a set; the rail's name is added to errors. */
export async function onRail<T>({ ifname, set }: Pick<Call, "ifname" | "set">, work: () => T | Promise<T>): Promise<T> {
  if (!set) return await work();
  try {
    return await work();
  } catch (thrown) {
    const { code, message, details } = toCniError(thrown);
    throw new CniError(code, `${ifname}: ${message}`, { cause: thrown, ...(details !== undefined && { details }) });
  }
}

function readEntries(rails: unknown, template: unknown): Entry[] {
  if (!Array.isArray(rails) || rails.length === 0 || rails.length > MOST_RAILS)
    throw invalid("rails", rails, `want a list of 1 to ${MOST_RAILS} rails such as [{"rail": "ens1f0np0"}]`);
  const pattern = readTemplate(template);
  const entries = rails.map((entry: unknown, i) => readEntry(entry, i, pattern));
  for (const [i, { name }] of entries.entries())
    if (entries.findIndex((other) => other.name === name) < i)
      throw invalid(`rails[${i}].name`, name, "another rail has this name; give each interface its own");
  return entries;
}

function readTemplate(template: unknown): string {
  if (template === undefined || template === null) return "rail{n}";
  if (typeof template === "string" && template.includes("{n}")) return template;
  throw invalid("interface", template, 'want a template of interface names such as "rail{n}"; {n} counts from 0');
}

const spellEntry = spelling("name", ...ENTRY_KEYS);

function readEntry(entry: unknown, index: number, pattern: string): Entry {
  const at = `rails[${index}]`;
  if (typeof entry !== "object" || entry === null || Array.isArray(entry))
    throw invalid(at, entry, 'want an object such as {"rail": "ens1f0np0"}');
  const { name: given, ...settings } = spellEntry(entry);
  const unknown = Object.keys(settings).find((key) => !ENTRY_KEYS.includes(key));
  if (unknown !== undefined)
    throw invalid(
      `${at}.${unknown}`,
      settings[unknown],
      `an entry may contain ${["name", ...ENTRY_KEYS].join(", ")}; everything else goes at the top level, for all rails`,
    );
  const { ipam } = settings;
  if (ipam !== undefined && ipam !== null && (typeof ipam !== "object" || Array.isArray(ipam)))
    throw invalid(`${at}.ipam`, ipam, "want an object; it overrides the network's ipam");
  const name = given === undefined || given === null ? pattern.replaceAll("{n}", `${index}`) : given;
  const why =
    typeof name === "string" && name !== "" ? whyNoLinkName(name) : "want the name of an interface, at most 15 bytes";
  if (why) throw invalid(given === name ? `${at}.name` : "interface", name, why);
  return { name: name as string, settings };
}

/** Several links cannot share one value. */
function refuseMac({ config, args }: Call): void {
  const given: [string, unknown][] = [
    ["runtimeConfig.mac", config.runtimeConfig?.["mac"]],
    ["CNI_ARGS MAC", args["MAC"]],
    ["args.cni.mac", config.args?.cni?.["mac"]],
    ["mac", config["mac"]],
  ];
  const [field, value] = given.find(([, one]) => one) ?? [];
  if (field)
    throw invalid(field, value, "a network of several rails has several links, which cannot share it; leave it out");
}

function devicesOf(config: NetworkConfig, entries: readonly Entry[], isStrict: boolean): (string | undefined)[] {
  const text = isStrict ? givenDevice(config) : attempt(() => givenDevice(config));
  const devices = text?.split(",").map((one) => one.trim().toLowerCase()) ?? [];
  if (!isStrict) return devices;
  if (devices.length !== entries.length)
    throw invalid(
      "deviceID",
      text,
      `${devices.length === 1 ? "this is one VF" : `these are ${devices.length} VFs`}, but the network has ${entries.length} rails; ` +
        "annotate it with a resource whose devices are one VF of each rail, such as railnet.io/rails",
    );
  const twice = devices.find((one, i) => devices.indexOf(one) < i);
  if (twice !== undefined) throw invalid("deviceID", text, `it contains ${twice} twice; each rail needs its own VF`);
  return devices;
}

function attempt(read: () => string): string | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

const spellType = spelling("type");

/** As if this rail had a network of its own. Files and devices that Multus names for the whole set are not passed on. */
function configOf(whole: NetworkConfig, settings: Entry["settings"], device: string | undefined): NetworkConfig {
  const { rails: _, interface: __, deviceID: ___, pciBusID: ____, runtimeConfig = {}, ipam, ...common } = whole;
  const { deviceID: _____, CNIDeviceInfoFile: ______, ...forAll } = runtimeConfig;
  const { ipam: own, ...others } = settings;
  const merged = own ? laidOver(ipam ?? {}, own as object) : ipam;
  return {
    ...common,
    ...Object.fromEntries(Object.entries(others).filter(([, value]) => value !== null)),
    ...(merged && { ipam: spellType(merged) }),
    ...(Object.keys(forAll).length > 0 && { runtimeConfig: forAll }),
    ...(device !== undefined && { deviceID: device }),
  } as NetworkConfig;
}

/** Replies would leave by whichever rail set its routes last. */
function refuseSharedTable(configs: readonly NetworkConfig[]): void {
  const tables = configs.map(({ sourceRules }) => Object(sourceRules).table).filter((table) => table !== undefined);
  const twice = tables.find((table, i) => tables.indexOf(table) < i);
  if (twice !== undefined)
    throw invalid(
      "sourceRules.table",
      twice,
      "several rails would share it; leave it out, or give each rail its own in rails[]",
    );
}

function callOf(call: Call, config: NetworkConfig, set: RailSet, index: number, args?: string): Call {
  const ifname = set.rails[index]!;
  const { CNI_ARGS: given, ...env } = call.request.env;
  const own = args ?? given;
  return {
    ...call,
    ifname,
    config,
    args: args === undefined ? call.args : readArgs(args),
    request: {
      ...call.request,
      env: { ...env, ...(own !== undefined && { CNI_ARGS: own }), CNI_IFNAME: ifname },
      stdin: JSON.stringify(config),
    },
    set,
  };
}

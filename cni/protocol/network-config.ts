import { object, type Read, record, required, text } from "./decode.ts";
import { NAME } from "./environment.ts";
import { CniError, CODE } from "./error.ts";
import { parseJson } from "./json.ts";
import { type Spell, spelling } from "./keys.ts";
import type { Dns } from "./result.ts";
import { readDns } from "./result-parse.ts";
import { checkVerb, DEFAULT_VERSION, type Verb } from "./version.ts";

/** A network configuration: the fields for which the specification has a type, and all others. */
export interface NetworkConfig {
  readonly cniVersion: string;
  readonly name: string;
  readonly type: string;
  readonly ipam?: { readonly type?: string; readonly [key: string]: unknown };
  readonly dns?: Dns;
  readonly runtimeConfig?: Readonly<Record<string, unknown>>;
  readonly args?: { readonly cni?: Readonly<Record<string, unknown>> };
  readonly [key: string]: unknown;
}

const WHAT = "the network configuration";

/** Keys of the specification, and those that its conventions (CONVENTIONS.md) put into `runtimeConfig` and `args.cni`. */
const spellConfig = spelling(
  "cniVersion",
  "name",
  "type",
  "ipam",
  "dns",
  "runtimeConfig",
  "args",
  "capabilities",
  "prevResult",
  "cni.dev/valid-attachments",
);

const spellCni = spelling("mac", "ips");

/** The same, one level down. */
const INNER: ReadonlyMap<string, Spell> = new Map([
  ["ipam", spelling("type")],
  ["dns", spelling("nameservers", "domain", "search", "options")],
  ["runtimeConfig", spelling("mac", "ips", "infinibandGUID", "deviceID", "CNIDeviceInfoFile")],
  ["args", spellArgs],
]);

const spellOfArgs = spelling("cni");

function spellArgs(from: object): Record<string, unknown> {
  const { cni, ...others } = spellOfArgs(from);
  return cni ? { ...others, cni: spellCni(cni) } : others;
}

/** The optional fields that have a type: parsed as a check, and kept as they came. */
const TYPED: Readonly<Record<string, Read<unknown>>> = {
  type: text,
  ipam: record<{ type?: string }>({ type: text }),
  dns: readDns,
  runtimeConfig: object,
  args: record<{ cni?: object }>({ cni: object }),
};

/**
 * Reads a network configuration. Keys of the specification match in any case and come out in its spelling, the last of
 * equal keys wins, null counts as absent, and unknown fields are kept: runtimes and Multus add some. A DEL has to clean up
 * whatever has become of the configuration: there a typed field of the wrong type counts as absent.
 *
 * @throws {CniError} 6 for anything but a JSON object, or wrong types; 7 for a missing or invalid network name;
 *   1 for a version that is not supported or does not have the verb.
 */
export function readNetworkConfig(stdin: string, verb: Verb): NetworkConfig {
  const config = spellConfig(required(object)(parseJson(stdin, WHAT) ?? {}, WHAT));
  const name = readName(config.name);
  const cniVersion = text(config.cniVersion, `${WHAT}.cniVersion`) ?? DEFAULT_VERSION;
  checkVerb(verb, cniVersion);
  const usable = Object.entries(config).filter(([key, value]) => isUsable(key, value, verb));
  const spelled = usable.map(([key, value]) => [key, INNER.get(key)?.(value as object) ?? value]);
  return { type: "", ...Object.fromEntries(spelled), name, cniVersion };
}

function readName(value: unknown): string {
  const name = text(value, `${WHAT}.name`);
  if (!name) throw new CniError(CODE.INVALID_CONFIG, `cannot use ${WHAT}: missing network name`);
  if (!NAME.test(name))
    throw new CniError(CODE.INVALID_CONFIG, `cannot use ${WHAT}: invalid characters found in network name`, {
      details: name,
    });
  return name;
}

function isUsable(key: string, value: unknown, verb: Verb): boolean {
  if (!Object.hasOwn(TYPED, key)) return true;
  try {
    return TYPED[key]!(value, `${WHAT}.${key}`) !== undefined;
  } catch (error) {
    if (verb === "DEL") return false;
    throw error;
  }
}

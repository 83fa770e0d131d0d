import { cidr, integer, ip, list, natural, object, positive, type Read, record, required, text } from "./decode.ts";
import { CniError, CODE } from "./error.ts";
import { spelling } from "./keys.ts";
import type { Dns, Interface, IpConfig, Result, Route } from "./result.ts";
import { resultForm } from "./version.ts";

/** Name servers and domains, in a result or a configuration. */
export const readDns: Read<Dns> = record<Dns>({
  nameservers: list(required(text)),
  domain: text,
  search: list(required(text)),
  options: list(required(text)),
});

const readInterface = record<Interface>({
  name: (value, at) => text(value, at) ?? "",
  mac: text,
  mtu: positive,
  sandbox: text,
  socketPath: text,
  pciID: text,
});

/** Only our own IPAM plugin sets it. */
const isTrue: Read<boolean> = (value) => (value === true ? true : undefined);

const readIp = record<IpConfig>({ address: required(cidr), gateway: ip, interface: natural, probe: isTrue });

/** Table and scope 0 have a meaning; other zeros mean "not set", as in libcni. */
const readRoute = record<Route>({
  dst: required(cidr),
  gw: ip,
  mtu: positive,
  advmss: positive,
  priority: positive,
  table: integer,
  scope: integer,
});

const spellResult = spelling("cniVersion", "interfaces", "ips", "ip4", "ip6", "routes", "dns");

/** An address family in 0.1.0 and 0.2.0. */
interface Family {
  readonly ip: string;
  readonly gateway?: string;
  readonly routes?: readonly Route[];
}
const readFamily = record<Family>({ ip: required(cidr), gateway: ip, routes: list(readRoute) });

/**
 * Converts a result printed by a plugin of any version to the form of spec 1.1.0. Fields that the specification does not
 * name are dropped, as libcni does.
 *
 * @param what its name in messages.
 * @throws {CniError} 6 for anything but a result, or one of an unexpected version; 7 for an invalid address; 1 for
 *   an unknown version.
 */
export function parseResult(json: unknown, cniVersion: string, what = "result"): Result {
  const form = resultForm(cniVersion);
  const fields = spellResult(required(object)(json, what));
  const own = text(fields.cniVersion, `${what}.cniVersion`) ?? cniVersion;
  if (own !== cniVersion)
    throw new CniError(CODE.DECODING_FAILURE, `cannot decode ${what}: its cniVersion is "${own}", want ${cniVersion}`);
  return form === "families" ? fromFamilies(fields, what) : fromLists(fields, what);
}

function fromLists(fields: Record<string, unknown>, what: string): Result {
  return {
    interfaces: list(readInterface)(fields.interfaces, `${what}.interfaces`) ?? [],
    ips: list(readIp)(fields.ips, `${what}.ips`) ?? [],
    routes: list(readRoute)(fields.routes, `${what}.routes`) ?? [],
    dns: readDns(fields.dns, `${what}.dns`) ?? {},
  };
}

function fromFamilies(fields: Record<string, unknown>, what: string): Result {
  const families = ["ip4", "ip6"]
    .map((family) => readFamily(fields[family], `${what}.${family}`))
    .filter((family) => family !== undefined);
  return {
    interfaces: [],
    ips: families.map(({ ip: address, gateway }) => ({ address, ...(gateway && { gateway }) })),
    routes: families.flatMap(({ routes }) => routes ?? []),
    dns: readDns(fields.dns, `${what}.dns`) ?? {},
  };
}

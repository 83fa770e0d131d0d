import { readdirSync } from "node:fs";
import { AddressFiles } from "../../ipam/store/address-files.ts";
import { type HeldAddress, sorted } from "./addresses.ts";

/** Every address of a directory store, sorted. @throws {Error} when the directory cannot be read. */
export function addressesIn(path: string): HeldAddress[] {
  return sorted(networksIn(path).flatMap((network) => addressesOfNetwork(path, network)));
}

/** The network in the directory's name; a name too long for that is skipped: its files do not name the network either. */
function networksIn(path: string): string[] {
  const names = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return names.flatMap(({ name }) => (name.startsWith(PREFIX) ? [decodeURIComponent(name.slice(PREFIX.length))] : []));
}
const PREFIX = "network-";

function addressesOfNetwork(path: string, network: string): HeldAddress[] {
  return [...new AddressFiles(path, network).all()].flatMap(([ip, holdings]) =>
    holdings.map(({ pool, owner: { podref, ifname, containerId, node = "", podUid = "" } }) => {
      return { ip, network, pool, podref, ifname, node, podUid, containerId, since: "", by: "file" as const };
    }),
  );
}

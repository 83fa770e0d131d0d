import { renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { KUBELET_CHECKPOINT } from "../../cni/kubelet-devices.ts";
import { GOVERNED_RAILS, type GovernedRails } from "../../cni/tenant.ts";
import { makeDirectory, readIfThere, syncFile, writeWhole } from "../../records/durable.ts";
import type { RailHere } from "../rails/select.ts";
import { type RailFiles, readNetworks } from "./file.ts";
import { acceptRails } from "./listed.ts";

/**
 * Tells the executables which VFs RailNetworks give to pods ({@link GOVERNED_RAILS}); no file if there are none. Idempotent.
 *
 * @param devicePlugins the kubelet's directory; empty: the usual one.
 * @throws {Error} if the disk is full, for instance.
 */
export function writeGoverned(
  here: readonly RailHere[],
  { networks: file }: Pick<RailFiles, "networks">,
  { stateDir, devicePlugins }: { readonly stateDir: string; readonly devicePlugins: string },
): void {
  const forPods = readNetworks(file).filter(({ pods }) => pods !== undefined);
  const networkOf = new Map(
    acceptRails(readNetworks(file)).accepted.map(({ rail, network }) => [rail.name, network] as const),
  );
  const rails = here.flatMap(({ rail, pf, ranges }) => {
    const network = forPods.find(({ name }) => name === networkOf.get(rail.name))?.name;
    return network === undefined ? [] : [{ network, rail: rail.name, resource: rail.resource, pf: pf.pci, ...(ranges && { ranges }) }]; // biome-ignore format: one row
  });
  const path = join(stateDir, GOVERNED_RAILS);
  if (forPods.length === 0) {
    rmSync(path, { force: true });
    return;
  }
  const kubelet = join(devicePlugins || "/var/lib/kubelet/device-plugins", KUBELET_CHECKPOINT);
  const text = JSON.stringify({ version: 1, kubelet, rails } satisfies GovernedRails);
  if (readIfThere(path) === text) return;
  makeDirectory(stateDir);
  writeWhole(`${path}.new`, text, true);
  renameSync(`${path}.new`, path);
  syncFile(stateDir);
}

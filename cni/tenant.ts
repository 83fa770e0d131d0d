import { join } from "node:path";
import { pfOf } from "../kernel/sysfs.ts";
import { ATTACH_CODE } from "./codes.ts";
import { invalid, text } from "./fields.ts";
import type { Host } from "./host.ts";
import { type KubeletDevices, readKubeletDevices } from "./kubelet-devices.ts";
import { CniError, CODE } from "./protocol/error.ts";
import { spelling } from "./protocol/keys.ts";
import type { Call } from "./protocol/request.ts";
import { REFERENCES, type ReferredNetwork, readOwned, readReferences } from "./reference.ts";

/** A rail that a RailNetwork gives to pods, on this node. */
export interface GovernedRail {
  readonly network: string;
  readonly rail: string;
  /** The device plugin's resource. */
  readonly resource: string;
  /** PCI address of its PF. */
  readonly pf: string;
  /** Which of the PF's VFs, both ends inclusive; absent: all. */
  readonly ranges?: readonly (readonly [first: number, last: number])[];
}

/** In the state directory: root's alone, written by the node's agent, replaced atomically. Missing: no RailNetwork gives rails to pods. */
export const GOVERNED_RAILS = "governed-rails.json";

export interface GovernedRails {
  readonly version: 1;
  /** Where the kubelet notes which devices it gave to which pod. */
  readonly kubelet: string;
  readonly rails: readonly GovernedRail[];
}

const spellReference = spelling("network", "rail");

/** One VF of each rail together. */
const SET_RESOURCE = "railnet.io/rails";

type TenantHost = { readonly paths: Pick<Host["paths"], "sysfs" | "stateDir"> };

/**
 * Whether this pod may have the VFs that a call names. On a rail that a RailNetwork gives to pods, a pod in a selected
 * namespace gets the VF that the kubelet gave it, by a configuration that refers to the RailNetwork, whoever wrote that
 * configuration, and whatever got past admission. VFs of other rails are not checked. For ADD.
 *
 * @throws {CniError} 7 for another configuration or namespace, 101 for a VF that the kubelet gave to another pod or to
 *   none, 103 for one of another rail, 11 when this cannot be determined now.
 */
export function checkTenant(call: Call, host: TenantHost): void {
  const { network, rail } = spellReference(call.config);
  const isReference = network !== undefined && network !== null;
  const governed = readGoverned(join(host.paths.stateDir, GOVERNED_RAILS), isReference);
  if (!governed) return;
  const references = isReference ? readReferences(join(host.paths.stateDir, REFERENCES)) : [];
  for (const { vf, place } of namedVfs(call)) {
    const of = railOf(vf, governed.rails, host.paths.sysfs);
    if (!of && !isReference) continue;
    if (!of) throw wrongRail(vf, `it belongs to no rail of RailNetwork ${network} on this node`);
    if (!isReference || network !== of.network) throw unreferred(vf, of);
    if (rail && rail !== of.rail) throw wrongRail(vf, `it belongs to rail ${of.rail}, but this network is for ${rail}: its annotation k8s.v1.cni.cncf.io/resourceName names another rail's resource`); // biome-ignore format: one row
    checkReference(call, vf, rail ? undefined : place, of, references);
    checkGiven(call, vf, of, readKubeletDevices(governed.kubelet));
  }
}

const spellDevice = spelling("deviceID", "pciBusID");

/** All VFs that may be taken from the configuration; for a set with the place of each. */
function namedVfs({ config }: Call): { readonly vf: string; readonly place: number }[] {
  const known = spellDevice(config);
  const given = [text(config.runtimeConfig ?? {}, "deviceID"), text(known, "deviceID"), text(known, "pciBusID")];
  return [...new Set(given)].flatMap((one) =>
    one ? one.split(",").map((vf, place) => ({ vf: vf.trim().toLowerCase(), place })) : [],
  );
}

/** The rail of a VF. Anything but a PCI address is refused elsewhere, and never looked up. */
export function railOf(vf: string, rails: readonly GovernedRail[], sysfs: string): GovernedRail | undefined {
  if (!/^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/.test(vf)) return undefined;
  const pf = pfOf(sysfs, vf);
  const isIn = ({ ranges }: GovernedRail) => ranges?.some(([first, last]) => first <= pf!.vf && pf!.vf <= last) ?? true;
  return pf && rails.find((one) => one.pf === pf.pci && isIn(one));
}

function checkReference(
  { args }: Call,
  vf: string,
  place: number | undefined,
  { network, rail }: GovernedRail,
  references: readonly ReferredNetwork[],
): void {
  const { namespaces: allowed, rails = [] } = references.find(({ name }) => name === network) ?? {};
  const wanted = place === undefined ? rail : rails[place]?.name;
  if (wanted !== rail)
    throw wrongRail(vf, `it belongs to rail ${rail}, but its place in the set is for ${wanted ?? "no rail"}`);
  const { K8S_POD_NAMESPACE: namespace } = args;
  if (!allowed || (namespace !== undefined && allowed.includes(namespace))) return;
  throw invalid(
    "network",
    network,
    namespace === undefined
      ? "CNI_ARGS has no K8S_POD_NAMESPACE, and not every namespace may use it"
      : `pods of namespace ${namespace} may not use it: spec.pods.namespaces of the RailNetwork does not select that namespace`,
  );
}

function checkGiven({ args }: Call, vf: string, { resource }: GovernedRail, devices: KubeletDevices): void {
  const { K8S_POD_UID: uid } = args;
  if (!uid)
    throw new CniError(
      CODE.INVALID_CONFIG,
      `cannot attach ${vf}: CNI_ARGS has no K8S_POD_UID, so it is unknown which pod the kubelet gave it to; want a runtime that sends it (containerd 1.6, CRI-O 1.20 or newer)`,
    );
  const given = devices.filter((one) => one.ids.some((id) => id.split(",").includes(vf)));
  if (given.some((one) => one.pod === uid && [resource, SET_RESOURCE].includes(one.resource))) return;
  throw new CniError(
    ATTACH_CODE.DEVICE_UNUSABLE,
    `cannot attach ${vf}: the kubelet did not give it to this pod as ${resource}; a network must not name a device: ` +
      `leave deviceID out, and let the pod request the resource`,
  );
}

/** @param isNeeded whether it is an error that it is missing. @throws {CniError} 11. */
export function readGoverned(file: string, isNeeded: boolean): GovernedRails | undefined {
  const again = (why: string, cause?: unknown) =>
    new CniError(CODE.TRY_AGAIN_LATER, `cannot look up rails of RailNetworks: ${file} ${why}; the node's agent will write it again`, { cause }); // biome-ignore format: one row
  const written = readOwned(file);
  if (written === undefined && isNeeded) throw again("is missing");
  if (written === undefined) return undefined;
  try {
    const governed = JSON.parse(written);
    if (governed.version === 1 && Array.isArray(governed.rails) && typeof governed.kubelet === "string")
      return governed;
  } catch (cause) {
    throw again(`cannot be read (${(cause as Error).message})`, cause);
  }
  throw again("was written by another version");
}

const unreferred = (vf: string, { network, rail }: GovernedRail): CniError =>
  invalid("deviceID", vf, `RailNetwork ${network} gives it to pods, through networks that refer to it: want {"type": "railnet-sriov", "network": "${network}", "rail": "${rail}"}`); // biome-ignore format: one row

const wrongRail = (vf: string, why: string): CniError =>
  new CniError(ATTACH_CODE.WRONG_RAIL, `cannot attach ${vf}: ${why}`);

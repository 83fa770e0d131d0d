import { join } from "node:path";
import { Journal } from "../../cni/attachment/journal.ts";
import type { Attachment } from "../../cni/attachment/record.ts";
import type { Host } from "../../cni/host.ts";
import { readKubeletDevices } from "../../cni/kubelet-devices.ts";
import { readArgs } from "../../cni/protocol/environment.ts";
import { GOVERNED_RAILS, type GovernedRail, railOf, readGoverned } from "../../cni/tenant.ts";
import { SETS_RESOURCE } from "../rails/sets.ts";

/** Which containers may have VFs that RailNetworks give to pods. */
export interface Tenants {
  /** Whether a resource has such VFs; also when that cannot be told. */
  governs(resource: string): boolean;
  /** Why a container may not start with the devices that the kubelet gave it; undefined when it may. */
  whyNotStart(ids: readonly string[], resource: string): string | undefined;
}

export interface TenantsHost {
  readonly paths: Pick<Host["paths"], "sysfs" | "stateDir">;
  readonly bootId: string;
}

/**
 * The kubelet gives a VF's RDMA devices to whoever asks for the resource, and they work without the VF's link where RDMA is shared.
 * So a VF of a rail that a RailNetwork gives to pods has to be attached to that very pod before a container starts with it:
 * then ADD has looked at the pod's namespace and network (cni/tenant.ts). Reads files, keeps nothing.
 */
export function tenantsOf({ paths: { sysfs, stateDir }, bootId }: TenantsHost): Tenants {
  const governed = () => readGoverned(join(stateDir, GOVERNED_RAILS), false);
  const attached = (vf: string) =>
    new Journal(stateDir).activeOwners(vf, bootId).filter(({ phase }) => phase === "attached");
  return {
    governs(resource) {
      try {
        return (governed()?.rails ?? []).some((rail) => [rail.resource, SETS_RESOURCE].includes(resource));
      } catch {
        return true;
      }
    },
    whyNotStart(ids, resource) {
      try {
        const { rails, kubelet } = governed() ?? { rails: [], kubelet: "" };
        const vfs = ids.flatMap((id) => id.split(",").map((vf) => ({ id, vf, of: railOf(vf, rails, sysfs) })));
        for (const { id, vf, of } of vfs)
          if (of && !attached(vf).some((a) => isOf(a, podsOf(id, resource, kubelet))))
            return unattached(vf, resource, of);
        return undefined;
      } catch (error) {
        return `cannot start a container with ${ids.join(", ")}: ${(error as Error).message}`;
      }
    },
  };
}

/** Whom the kubelet gave a device, by UID. */
const podsOf = (id: string, resource: string, checkpoint: string): readonly string[] =>
  readKubeletDevices(checkpoint)
    .filter((one) => one.resource === resource && one.ids.includes(id))
    .map(({ pod }) => pod);

/** One that was attached before the RailNetwork had `pods` may be by a runtime that says no UID. */
function isOf({ request }: Attachment, pods: readonly string[]): boolean {
  const { K8S_POD_UID: uid } = readArgs(request.args);
  return !uid || pods.includes(uid);
}

const unattached = (vf: string, resource: string, { network, rail }: GovernedRail): string =>
  `cannot start a container with ${vf}: RailNetwork ${network} gives it to pods, and it is not attached to this one: name its network ` +
  `(kubectl get net-attach-def -l railnet.io/network=${network}) for rail ${rail} in annotation k8s.v1.cni.cncf.io/networks, or leave ${resource} out`;

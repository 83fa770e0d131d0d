import { readFileSync, statSync } from "node:fs";
import { CniError, CODE } from "./protocol/error.ts";

/** Devices that the kubelet gave to a pod's container. */
export interface GivenDevices {
  /** UID. */
  readonly pod: string;
  readonly resource: string;
  readonly ids: readonly string[];
}

export type KubeletDevices = readonly GivenDevices[];

/** The kubelet's name for it (`kubeletDeviceManagerCheckpoint`), in the directory of the device plugins' sockets. */
export const KUBELET_CHECKPOINT = "kubelet_internal_checkpoint";

/** The last one read, with what identifies it: the kubelet replaces the whole file. */
let last: { readonly key: string; readonly devices: KubeletDevices } | undefined;

/**
 * Which devices the kubelet gave to which pod, from its checkpoint (`PodDevicesEntry`, pkg/kubelet/cm/devicemanager/checkpoint),
 * unchanged since Kubernetes 1.20 and written before it creates the pod's sandbox. Its PodResources API says the same, but at
 * most 100 times a second, a limit shared with Multus.
 *
 * @throws {CniError} 11 when it cannot be read.
 */
export function readKubeletDevices(file: string): KubeletDevices {
  try {
    const { ino, mtimeMs, size } = statSync(file);
    const key = `${file} ${ino} ${mtimeMs} ${size}`;
    if (last?.key !== key) last = { key, devices: parse(readFileSync(file, "utf8")) };
    return last.devices;
  } catch (cause) {
    throw new CniError(
      CODE.TRY_AGAIN_LATER,
      `cannot tell to which pod the kubelet gave a VF: ${file}: ${(cause as Error).message}; is --device-plugins of the agent the kubelet's folder?`,
      { cause },
    );
  }
}

function parse(text: string): KubeletDevices {
  const entries = JSON.parse(text)?.Data?.PodDeviceEntries ?? [];
  if (!Array.isArray(entries)) throw new SyntaxError("it has no list PodDeviceEntries");
  return entries.map(({ PodUID: pod, ResourceName: resource, DeviceIDs: byNode }) => ({
    pod: String(pod),
    resource: String(resource),
    ids: Object.values(byNode ?? {}).flatMap((ids) => (Array.isArray(ids) ? ids.map(String) : [])),
  }));
}

import { readFileSync, statSync } from "node:fs";
import { CniError, CODE } from "./protocol/error.ts";

/** Devices that the kubelet gave to a container of a pod. */
export interface GivenDevices {
  /** UID. */
  readonly pod: string;
  readonly resource: string;
  readonly ids: readonly string[];
}

export type KubeletDevices = readonly GivenDevices[];

/** The kubelet's own name for it (`kubeletDeviceManagerCheckpoint`), in the folder of the device plugins' sockets. */
export const KUBELET_CHECKPOINT = "kubelet_internal_checkpoint";

/** What it was when it was read: the kubelet replaces it whole. */
let last: { readonly key: string; readonly devices: KubeletDevices } | undefined;

/**
 * What the kubelet gave to which pod, from its checkpoint (`PodDevicesEntry`, pkg/kubelet/cm/devicemanager/checkpoint), the same
 * since Kubernetes 1.20: written before it makes the pod's sandbox. Its PodResources API says the same, 100 times a second at most,
 * which Multus shares.
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

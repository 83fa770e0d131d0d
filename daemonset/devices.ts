import { forgetOffered } from "../cni/attachment/told/offered.ts";
import type { Log, Paths } from "../cni/host.ts";
import { deviceInfoDirOf, isPromised } from "./device-plugin/device-info.ts";
import { startDevicePlugin } from "./device-plugin/start.ts";
import type { HostUses } from "./kernel-thread.ts";
import { railFilesIn } from "./rail-network/file.ts";
import type { Altnames } from "./rails/altname.ts";
import type { CarryOut } from "./rails/orders.ts";
import { type Rails, startRails } from "./rails/start.ts";

export interface DevicesOptions {
  /** Where the ConfigMap `railnet-config` is mounted: its key `rails` is the list of rails. */
  readonly configDir: string;
  /** Where the kubelet looks for device plugins, or empty for none of ours. */
  readonly devicePlugins: string;
  readonly carrierGraceSeconds: number;
  readonly paths: Paths;
  /** Those of these VFs that the host uses, and how. Uses netlink, so not in this thread. */
  readonly hostUses: (vfs: readonly string[]) => Promise<HostUses>;
  readonly carryOut: CarryOut;
  readonly altnames: Altnames;
  readonly step?: (step: string) => void;
  readonly log: Log;
}

export interface Devices {
  readonly rails: Pick<Rails, "here" | "seen" | "looked">;
  stop(): Promise<void>;
}

/** The VFs of this node: created according to the list of rails, and offered to the kubelet. */
export function startDevices(options: DevicesOptions): Devices {
  const { configDir, devicePlugins: directory, carrierGraceSeconds, paths, hostUses, log } = options;
  const railFiles = railFilesIn(configDir, paths.stateDir);
  const rails = startRails({ ...options, railFiles, isPromised: (vf) => isPromised(deviceInfoDirOf(paths), vf) });
  const graceMs = carrierGraceSeconds * 1000;
  if (!directory) forgetOffered(paths.runDir);
  const plugin = directory
    ? startDevicePlugin({ directory, rails: rails.here, sets: rails.sets, hostUses, paths, graceMs, log })
    : undefined;
  return {
    rails,
    async stop() {
      rails.stop();
      await plugin?.stop();
    },
  };
}

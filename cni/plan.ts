import type { Device } from "./attachment/device.ts";
import type { PfSnapshot } from "./attachment/pf.ts";
import type { PodNetns } from "./attachment/pod.ts";
import type { RdmaPlan } from "./attachment/rdma.ts";
import type { AttachConfig } from "./config.ts";
import type { Call } from "./protocol/request.ts";

/** Everything an ADD needs for one VF, once everything that can be refused without a change has been checked. */
export interface Plan {
  readonly call: Call;
  readonly config: AttachConfig;
  readonly device: Device;
  readonly rdma: RdmaPlan;
  readonly was: PfSnapshot;
  readonly pod: PodNetns;
}

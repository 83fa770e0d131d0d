import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "../until.ts";
import type { World } from "./world.ts";

/** From now on IPAM's ADD waits for release(); begun() waits until it has begun. */
export function holdIpam({ ipam, dir }: World): { begun: () => Promise<void>; release: () => void } {
  const gate = join(dir, "gate");
  const wait = `while [ ! -e ${gate} ]; do sleep 0.02; done; rm -f ${gate}`;
  ipam.on("ADD", `${wait}; echo '{"cniVersion":"1.1.0","ips":[{"address":"10.20.0.5/24"}]}'`);
  return {
    begun: () => until("IPAM's ADD runs", () => ipam.calls("ADD").length > 0),
    release: () => writeFileSync(gate, ""),
  };
}

import t from "tap";
import { ApiServer } from "../../../../lab/cluster/api-server.ts";
import { FaultProxy } from "../../../../lab/cluster/fault-proxy.ts";
import { installCrds } from "../../../../lab/cluster/install.ts";
import { Runtime } from "./runtime.ts";

export interface Stage {
  readonly api: ApiServer;
  readonly proxy: FaultProxy;
  readonly runtime: Runtime;
}

/** A cluster with the resources, a proxy in front of it, and no nodes yet; it ends with the test file. @param seed of the proxy's chances. */
export async function startStage(seed?: number): Promise<Stage> {
  const api = await ApiServer.start();
  const proxy = await FaultProxy.start(api, seed);
  const runtime = new Runtime(api);
  t.teardown(async () => {
    await runtime.stop();
    await proxy.stop();
    await api.stop();
  });
  await installCrds(api.raw);
  return { api, proxy, runtime };
}

import t from "tap";
import { ApiServer } from "../../support/api-server.ts";
import { FaultProxy } from "../../support/fault-proxy.ts";
import { installCrds } from "../../support/install.ts";
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

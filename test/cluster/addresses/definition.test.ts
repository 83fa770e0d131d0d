// The definitions are deleted and made again, on a real API server, while a node that holds an address is cut off.
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { FaultProxy } from "../../../lab/cluster/fault-proxy.ts";
import { crds, installCrds } from "../../../lab/cluster/install.ts";
import { pathOf } from "../../../lab/cluster/raw.ts";
import { until } from "../../../lab/until.ts";
import { Agent, pool } from "./support/agent.ts";
import { reserved, SETTINGS, startWorld } from "./support/world.ts";

t.setTimeout(600_000);
const HEAL_MS = 3_000;
const { api, kubeconfig } = await startWorld("absent");
t.teardown(() => api.stop());
const { raw } = api;
const rail = pool("rail0", "10.1.0.0/24");
const owner = (name: string) => ({ podref: `default/${name}`, ifname: "net1", containerId: `c-${name}` });
const mark = async () => (await raw.get(SETTINGS)).metadata.annotations?.["railnet.io/definition"];

t.test(
  "nobody claims after the definitions were made again, before a node that was cut off put back what it holds",
  async (t) => {
    const options = { healMs: HEAL_MS, graceMs: 20_000 };
    await using leader = await Agent.start("node-b", kubeconfig, options);
    await until("the definition is on the settings", mark, Boolean);
    await using proxy = await FaultProxy.start(api);
    const cut = api.kubeconfig({ server: proxy.url, token: await api.token("railnet") });
    await using holder = await Agent.start("node-a", cut, options);
    await holder.modes.synced;
    t.equal(await holder.add(rail, "10.1.0.1", owner("a")), undefined);
    const before = await mark();
    await proxy.down();
    for (const { object } of await crds("ours")) await raw.delete(pathOf(object));
    await until(
      "the reservations are gone",
      async () => (await raw.request("GET", "/apis/whereabouts.cni.cncf.io/v1alpha1")).status,
      (status) => status === 404,
    );
    await installCrds(raw);
    await using fresh = await Agent.start("node-c", kubeconfig, options);
    await fresh.modes.synced;
    for (const beginMs = performance.now(); performance.now() - beginMs < 2 * HEAL_MS; await sleep(200))
      for (const agent of [fresh, leader])
        await t.rejects(agent.add(rail, "10.1.0.1", owner(agent.node)), /re-created.*try again/);
    t.not(await mark(), before, "the leader has seen it");
    await proxy.up();
    const asked = () => fresh.add(rail, "10.1.0.1", owner("c")).catch(() => undefined);
    t.match(await until("the address is its holder's", asked, Boolean), { podref: "default/a" });
    t.same(await reserved(raw, "rail0"), ["10.1.0.1 default/a net1 c-a"]);
  },
);

import t from "tap";
import { ApiServer } from "../../../lab/cluster/api-server.ts";
import { installCrds } from "../../../lab/cluster/install.ts";
import { makePod } from "../../../lab/cluster/objects.ts";
import type { Json } from "../../../lab/cluster/raw.ts";
import { Whereabouts } from "../../../lab/cluster/whereabouts.ts";
import { ipam } from "./support/railnet.ts";

const api = await ApiServer.start();
t.teardown(() => api.stop());
await installCrds(api.raw, "upstream");
const whereabouts = await Whereabouts.install(api);
const kubeconfig = api.kubeconfig();
const config = whereabouts.config({ range: "10.30.0.0/24", network_name: "rail0" }, { name: "rail0" });
const v6 = whereabouts.config({ range: "fd00:30::/64" });
for (const name of ["one", "two"]) await makePod(api.raw, name, { node: "node-a" });

t.test("railnet ipam reads what the real Whereabouts writes, and finds nothing wrong with it", async (t) => {
  const given: string[] = [];
  for (const [conf, pod] of [
    [config, "one"],
    [config, "two"],
    [v6, "one"],
  ] as const) {
    const { json, exit } = await whereabouts.call("ADD", conf, {
      id: `id-${pod}`,
      pod,
      ifname: conf === v6 ? "net2" : "net1",
    });
    t.equal(exit, 0);
    given.push(json.ips[0].address.split("/")[0]);
  }
  const list = (await ipam(["list", "--json", "--kubeconfig", kubeconfig])).json;
  t.same(
    list.map(({ ip, network, podref, ifname, containerId, by }: Json) => [
      ip,
      network,
      podref,
      ifname,
      containerId,
      by,
    ]),
    [
      [given[0], "rail0", "default/one", "net1", "", "both"],
      [given[1], "rail0", "default/two", "net1", "", "both"],
      [given[2], "", "default/one", "net2", "", "both"],
    ],
  );
  const shown = (await ipam(["show", given[0]!, "--json", "--kubeconfig", kubeconfig])).json[0];
  t.match(shown, { reservation: { madeBy: "Whereabouts" }, records: [{ key: "1", containerId: "id-one" }] });
  const audit = await ipam(["audit", "--json", "--kubeconfig", kubeconfig]);
  t.equal(audit.exit, 0, audit.stdout);
});

t.test("railnet ipam takeover adopt leaves the real Whereabouts able to end its pods", async (t) => {
  const { json } = await ipam(["takeover", "adopt", "--json", "--kubeconfig", kubeconfig]);
  t.equal(json.did, "3 reservations made or completed");
  t.equal((await whereabouts.call("DEL", config, { id: "id-two", pod: "two", ifname: "net1" })).exit, 0);
  const list = (await ipam(["list", "--json", "--kubeconfig", kubeconfig])).json;
  t.same(
    list.map(({ podref, ifname, node, containerId }: Json) => [podref, ifname, node, containerId]),
    [
      ["default/one", "net1", "node-a", "id-one"],
      ["default/one", "net2", "node-a", "id-one"],
    ],
  );
});

t.test("railnet ipam release of a Whereabouts address leaves it to the next of its ADDs", async (t) => {
  const [{ ip }] = (await ipam(["list", "--json", "--network", "rail0", "--kubeconfig", kubeconfig])).json;
  const released = await ipam(["release", ip, "--force", "--json", "--kubeconfig", kubeconfig]);
  t.match(released.json, [{ ip, outcome: "released" }]);
  const { json } = await whereabouts.call("ADD", config, { id: "id-3", pod: "two", ifname: "net1" });
  t.equal(json.ips[0].address, `${ip}/24`);
});

import { execFileSync, spawnSync } from "node:child_process";
import type { Test } from "tap";
import { type ApiServer, kubernetes } from "../../../../lab/cluster/api-server.ts";
import type { Json } from "../../../../lab/cluster/raw.ts";
import { network, pods, rail } from "./objects.ts";

const wrong: readonly (readonly [what: string, rails: readonly Json[], says: RegExp])[] = [
  ["no rails", [], /spec\.rails.*should have at least 1/],
  ["a name twice", [rail(0), { ...rail(1), name: "rail0" }], /spec\.rails\[1\]: Duplicate value/],
  ["a name that is none", [{ ...rail(0), name: "Rail_0" }], /spec\.rails\[0\]\.name.*should match/],
  ["no PF", [{ name: "rail0" }], /spec\.rails\[0\]\.pf: Required value/],
  ["a selector of nothing", [rail(0, { pf: {} })], /spec\.rails\[0\]\.pf.*nothing is selected, so that any PF would do: want \{names: \[ens1f0np0\]\}/], // biome-ignore format: one row
  ["a PF twice", [rail(0), rail(1, { pf: rail(0).pf })], /two rails select the same PF by the same pf/],
  ["a link twice", [rail(0, { pf: { names: ["a", "b"] } }), rail(1, { pf: { names: ["b", "c"] } })], /two rails name the same link in pf\.names/], // biome-ignore format: one row
  ["a PCI address that is none", [rail(0, { pf: { pciAddresses: ["18:00.0"] } })], /pciAddresses\[0\].*should match/],
  ["a resource twice", [rail(0, { resource: "railnet.io/rail1" }), rail(1)], /two rails have the same resource/],
  ["a resource that is none", [rail(0, { resource: "rail0" })], /spec\.rails\[0\]\.resource.*should match/],
  ["too many VFs", [rail(0, { vfs: 70_000 })], /spec\.rails\[0\]\.vfs.*less than or equal to 65535/],
  ["VFs in words", [rail(0, { vfs: "eight" })], /spec\.rails\[0\]\.vfs.*must be of type integer/],
  ["two modes", [rail(0, { rdma: "shared" }), rail(1, { rdma: "exclusive" })], /rails say different rdma: the mode is the whole node's/], // biome-ignore format: one row
  ["a mode that is none", [rail(0, { rdma: "on" })], /spec\.rails\[0\]\.rdma: Unsupported value/],
  ["an MTU that is none", [rail(0, { mtu: 10 })], /spec\.rails\[0\]\.mtu.*greater than or equal to 68/],
  ["a subnet that is none", [rail(0, { subnet: "192.168.0.0" })], /spec\.rails\[0\]\.subnet.*subnet is no network: want its first address/], // biome-ignore format: one row
  ["a subnet with host bits", [rail(0, { subnet: "192.168.0.7/24" })], /subnet is no network: want its first address/],
  ["subnets that overlap", [rail(0, { subnet: "10.0.0.0/16" }), rail(1, { subnet: "10.0.7.0/24" })], /subnets of two rails overlap/], // biome-ignore format: one row
  ["subnets that are one", [rail(0, { subnet: "fd00::/64" }), rail(1, { subnet: "fd00::/64" })], /subnets of two rails overlap/], // biome-ignore format: one row
  ["a subnet smaller than a node", [rail(0, { subnet: "10.0.0.0/29", vfs: 7 })], /subnet is smaller than the VFs of one node/], // biome-ignore format: one row
  [
    "a subnet of one address",
    [rail(0, { subnet: "10.0.0.1/32", vfs: 1 })],
    /subnet is smaller than the VFs of one node/,
  ],
  ["an exclude of no subnet", [rail(0, { exclude: ["10.0.0.1"] })], /exclude is of a subnet: give the subnet/],
  ["an exclude outside", [rail(0, { subnet: "10.0.0.0/24", exclude: ["10.0.1.0/28"] })], /exclude has what is not in the subnet/], // biome-ignore format: one row
  ["an exclude that is none", [rail(0, { subnet: "10.0.0.0/24", exclude: ["ten"] })], /exclude has what is not in the subnet/], // biome-ignore format: one row
];

const wrongMore: readonly (readonly [what: string, more: Json, says: RegExp])[] = [
  ["pods of no namespaces", { pods: {} }, /spec\.pods\.namespaces: Required value/],
  ["one name for all rails", { pods: pods({ interface: "rail" }) }, /want \{n\}, the rail's place in the list/],
  ["Multus' names", { pods: pods({ interface: "net{n}" }) }, /Multus gives it to the next network: want another/],
  ["a name too long", { pods: pods({ interface: "fifteen-letters{n}" }) }, /longer than a link's name may be/],
  ["a name of no link", { pods: pods({ interface: "a/{n}" }) }, /spec\.pods\.interface.*should match/],
  ["trust in words", { pods: pods({ settings: { trust: "on" } }) }, /settings\.trust.*must be of type boolean/],
  ["QoS without a VLAN", { pods: pods({ settings: { vlanQoS: 3 } }) }, /vlanQoS needs a vlan from 1 to 4094/],
  ["802.1ad without a VLAN", { pods: pods({ settings: { vlanProto: "802.1ad" } }) }, /802\.1ad needs a vlan/],
  ["rates upside down", { pods: pods({ settings: { min_tx_rate: 9, max_tx_rate: 5 } }) }, /min_tx_rate is above/],
  ["what cannot be allowed", { pods: pods({ allow: ["deviceID"] }) }, /spec\.pods\.allow\[0\]: Unsupported value/],
  ["In of no values", { pods: { namespaces: { matchExpressions: [{ key: "a", operator: "In" }] } } }, /In and NotIn want values/], // biome-ignore format: one row
  ["more sets than VFs", { sets: 9 }, /sets is more than a rail has VFs/],
  ["a priority that is none", { expect: { pfc: [8] } }, /spec\.expect\.pfc\[0\].*less than or equal to 7/],
  ["a RoCE MTU that is none", { expect: { roceMtu: 9000 } }, /spec\.expect\.roceMtu: Unsupported value/],
];

const addressed = [0, 1].map((n) => rail(n, { subnet: `192.168.${n}.0/24` }));

/** What the definition of RailNetworks takes and refuses, by dry runs of the real server. */
export function testDefinition(t: Test, api: ApiServer): void {
  const admin = api.kubeconfig();
  const kubectl = (args: readonly string[], input = "") =>
    execFileSync(kubernetes("kubectl"), ["--kubeconfig", admin, ...args], { encoding: "utf8", input });
  const dryRun = async (object: Json) => {
    const { status, body } = await api.raw.request("POST", `/apis/railnet.io/v1alpha1/railnetworks?dryRun=All`, {
      body: object,
    });
    return { status, message: body.message ?? "", object: body };
  };

  t.test("a RailNetwork that is right is taken, with its defaults", async (t) => {
    const full = [0, 1, 2, 3].map((n) =>
      rail(n, {
        rdma: "exclusive",
        mtu: 9000,
        subnet: `192.168.${n}.0/24`,
        exclude: [`192.168.${n}.0/28`, `192.168.${n}.99`],
      }),
    );
    t.equal((await dryRun(network("ishikari", full, { nodeSelector: { "node.kubernetes.io/instance-type": "dgx" } }))).status, 201); // biome-ignore format: one row
    t.match(await dryRun(network("small", [{ name: "a", pf: { vendors: ["15b3"] } }])), { status: 201, object: { spec: { rails: [{ vfs: 0 }] } } }); // biome-ignore format: one row
    const shared = [rail(0, { pf: { names: ["ens1#0-3"] } }), rail(1, { pf: { names: ["ens1#4-7"] } })];
    t.equal((await dryRun(network("shared", shared))).status, 201, "rails may share a PF");
    t.equal((await dryRun(network("v6", [rail(0, { subnet: "fd00:1::/64" }), rail(1, { subnet: "fd00:2::/64" })]))).status, 201); // biome-ignore format: one row
  });

  for (const [what, rails, says] of wrong)
    t.test(`server-side dry run tells ${what}`, async (t) => {
      t.match(await dryRun(network("x", rails)), { status: 422, message: says });
    });

  for (const [what, more, says] of wrongMore)
    t.test(`server-side dry run tells ${what}`, async (t) => {
      t.match(await dryRun(network("x", addressed, more)), { status: 422, message: says });
    });

  t.test("server-side dry run tells networks without addresses, and a rail with the sets' resource", async (t) => {
    const message = /networks of rails without a subnet/;
    t.match(await dryRun(network("x", [rail(0)], { pods: pods({}) })), { status: 422, message });
    const same = network("x", [rail(0, { resource: "railnet.io/rails" })], { sets: 1 });
    t.match(await dryRun(same), { status: 422, message: /a rail has the resource railnet\.io\/rails/ });
  });

  t.test("kubectl's on and off are settings, and what is absent has its default", async (t) => {
    const yaml = `
apiVersion: railnet.io/v1alpha1
kind: RailNetwork
metadata: { name: ishikari }
spec:
  rails: [{ name: rail0, pf: { names: [ens1f0np0] }, vfs: 8, subnet: 192.168.0.0/24 }]
  pods:
    namespaces: { matchLabels: {} }
    settings: { trust: on, spoofchk: off }
    allow: [ips]
  sets: 8
  expect: { speedGbps: 400, roceMtu: 4096, linkMtu: 9000, trust: dscp, pfc: [3], ecn: [3], firmware: 28.41.1000 }
`;
    const { spec } = JSON.parse(kubectl(["create", "--dry-run=server", "-o", "json", "-f", "-"], yaml));
    t.match(spec.pods, { settings: { trust: true, spoofchk: false, vlan: 0 }, interface: "rail{n}", sameIndex: true });
    const least = { pods: { namespaces: {} } };
    const { object } = await dryRun(network("x", addressed, least));
    t.same(object.spec.pods, { namespaces: {}, interface: "rail{n}", sameIndex: true, allow: [], settings: { trust: false, spoofchk: true, vlan: 0 } }); // biome-ignore format: one row
  });

  t.test("subnets from the smallest that fits on are taken", async (t) => {
    for (const [
      subnet,
      vfs,
    ] of [["10.0.0.0/29", 6], ["10.0.0.0/24", 254], ["10.0.0.0/8", 65_535], ["fd00::/125", 6]] as const) // biome-ignore format: one row
      t.equal((await dryRun(network("x", [rail(0, { subnet, vfs })]))).status, 201, `${subnet} ${vfs}`);
  });

  t.test("kubectl tells a field that does not exist, and explains those that do", async (t) => {
    const object = JSON.stringify(network("x", [rail(0, { colour: "red" })]));
    const ran = spawnSync(
      kubernetes("kubectl"),
      ["--kubeconfig", admin, "apply", "--dry-run=server", "--validate=strict", "-f", "-"],
      { input: object, encoding: "utf8" },
    );
    t.match(ran.stderr, /unknown field "spec.rails\[0\].colour"/);
    t.match(kubectl(["explain", "railnetwork.spec.rails.vfs"]), /0 leaves it as it is. Another number waits/);
  });
}

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { randomFrom } from "../../../cli/random.ts";
import { toRailNetwork } from "../../../daemonset/rail-network/convert.ts";
import { railFilesIn, readListed, readNetworks, writeNetworks } from "../../../daemonset/rail-network/file.ts";
import { selected } from "../../../daemonset/rail-network/follower.ts";
import { listRails } from "../../../daemonset/rail-network/listed.ts";
import type { NetworkRail, RailNetwork } from "../../../daemonset/rail-network/object.ts";
import { statusOf } from "../../../daemonset/rail-network/status.ts";
import { parseRails } from "../../../daemonset/rails/config.ts";
import { nodeOf } from "../rail-node/support/rail-nodes.ts";

const SEED = Number(process.env["RAILNET_SEED"] ?? 7);
const rail = (n: number, more: Partial<NetworkRail> = {}): NetworkRail => ({
  name: `rail${n}`,
  pf: { names: [`ens${n}`] },
  vfs: 8,
  ...more,
});
const network = (
  name: string,
  rails: readonly NetworkRail[],
  more: Partial<RailNetwork["spec"]> = {},
  creationTimestamp = "2026-11-30T00:00:00Z",
): RailNetwork => ({ metadata: { name, creationTimestamp }, spec: { rails, ...more } });

t.test("selected() takes those whose labels a node has, the oldest first", async (t) => {
  const all = [
    network("young", [rail(2)], {}, "2026-12-01T00:00:00Z"),
    network("other", [rail(1)], { nodeSelector: { kind: "b" } }),
    network("old", [rail(0)], { nodeSelector: { kind: "a" } }),
    network("none", [rail(3)], { nodeSelector: {} }, "2026-12-02T00:00:00Z"),
  ];
  const names = (labels: Record<string, string>) => selected(all, labels).map(({ name }) => name);
  t.same(names({ kind: "a", more: "x" }), ["old", "young", "none"]);
  t.same(names({}), ["young", "none"]);
});

t.test("listRails() gives to the older RailNetwork what two want, and says so of the other", async (t) => {
  const { rails, networks, refused } = listRails([
    { name: "old", rails: [rail(0, { rdma: "exclusive", mtu: 9000 }), rail(1)] },
    {
      name: "young",
      rails: [rail(0), rail(7, { resource: "railnet.io/rail1" }), rail(8, { rdma: "shared" }), rail(9, { subnet: "10.0.0.0/16" })],
    },
  ]); // biome-ignore format: rows
  t.same(networks, ["old", "young"]);
  t.match(rails, [{ name: "rail0", mtu: 9000, vfs: 8, resource: "railnet.io/rail0" }, { name: "rail1" }, { name: "rail9" }]); // biome-ignore format: one row
  t.same(refused, [
    { rail: "rail0", why: "RailNetwork young: rail rail0 of RailNetwork old already has this name" },
    { rail: "rail7", why: "RailNetwork young: rail rail1 of RailNetwork old already has resource railnet.io/rail1" },
    { rail: "rail8", why: "RailNetwork young: it wants rdma shared, but rail rail0 of RailNetwork old wants exclusive: the mode applies to the whole node" },
  ]); // biome-ignore format: rows
});

t.test("listRails() uses what is right beside a mistake that an older definition let pass", async (t) => {
  const { rails, refused } = listRails([{ name: "a", rails: [rail(0), { name: "Rail 1", pf: { names: ["x"] } }, rail(2)] }]);
  t.same(rails.map(({ name }) => name), ["rail0", "rail2"]);
  t.match(refused, [{ rail: "Rail 1", why: /^RailNetwork a: cannot use rail "entry 2": name "Rail 1": want at most 40/ }]);
}); // biome-ignore format: rows

t.test(`a list of rails, converted, is the same list (seed ${SEED})`, async (t) => {
  const random = randomFrom(SEED);
  const maybe = (text: string) => (random() < 0.5 ? text : "");
  for (let round = 0; round < 100; round++) {
    const mode = random() < 0.5 ? "exclusive" : "shared";
    const entries = Array.from({ length: 1 + Math.floor(random() * 6) }, (_, i) => {
      const selectors = [`names: [ens${i}f0np0, "ens${i}f0np0#1-7"]`, maybe(`pciAddresses: ["0000:${i}8:00.0#0,4-7"]`), maybe("vendors: ['8086', 15b3]"), maybe("drivers: [mlx5_core]")]; // biome-ignore format: one row
      return `{name: rail${i}, pf: {${selectors.filter(Boolean).join(", ")}}${maybe(", vfs: 16")}${maybe(`, rdma: ${mode}`)}${maybe(`, resource: nvidia.com/r${i}`)}}`; // biome-ignore format: one row
    });
    const rails = parseRails(`[${entries.join(", ")}]`);
    const { spec } = toRailNetwork("x", rails);
    const back = listRails([{ name: "x", rails: JSON.parse(JSON.stringify(spec.rails)) }]);
    if (!t.same(back, { rails, networks: ["x"], refused: [] }, entries.join("\n"))) return;
  }
});

t.test("listRails() offers the sets of the first network that has some, of the rails that are its own", async (t) => {
  const network = (name: string, rails: string[], sets = 0) => ({
    name,
    rails: rails.map((rail) => ({ name: rail, pf: { names: [`${rail}${name}`] } })),
    sets,
  });
  const listed = (...networks: ReturnType<typeof network>[]) => listRails(networks).sets;
  t.equal(listed(network("a", ["rail0"])), undefined);
  t.same(listed(network("a", ["rail0"]), network("b", ["rail1", "rail0", "rail2"], 4), network("c", ["rail3"], 2)), {
    count: 4,
    rails: ["rail1", "rail2"],
  });
  t.equal(listed(network("a", ["rails", "rail0"], 4)), undefined, "a rail has their resource");
});

t.test("readListed() reads RailNetworks as last heard of, else the ConfigMap", async (t) => {
  const dir = t.testdir({ config: { rails: "[{name: old, pf: {names: [eth0]}}]" }, state: {} });
  const files = railFilesIn(join(dir, "config"), join(dir, "state"));
  t.match(readListed(files), { rails: [{ name: "old" }], networks: [] });
  writeNetworks(files.networks, [{ name: "ishikari", rails: [rail(0)] }]);
  t.match(readListed(files), { rails: [{ name: "rail0" }], networks: ["ishikari"] });
  writeNetworks(files.networks, []);
  t.match(readListed(files), { rails: [{ name: "old" }], networks: [] });
  for (const text of ["", "{", "[]", '{"version": 2, "networks": []}']) {
    writeFileSync(files.networks, text);
    t.throws(
      () => readNetworks(files.networks),
      /^cannot read .*rail-networks.json: .*: the agent writes it again/,
      text,
    );
  }
});

t.test("statusOf() counts nodes and VFs, and tells a subnet that is too small for them", async (t) => {
  const spec = [
    rail(0, { subnet: "192.168.0.0/24", exclude: ["192.168.0.0/28", "192.168.0.250"] }),
    rail(1, { subnet: "fd00::/64" }),
  ];
  const nodes = Array.from({ length: 32 }, (_, n) => nodeOf(n, n < 30 ? ["ishikari"] : []));
  const before = network("ishikari", spec);
  const status = statusOf(before, nodes, 0, { reservedIn: (subnet) => (subnet === "fd00::/64" ? 9 : 30) });
  const used = nodes.slice(0, 30).reduce((sum, node) => sum + node.status!.rails[0]!.used, 0);
  t.same(status.summary, { nodes: "30/30", vfs: `${2 * used}/480` });
  const who = nodes
    .slice(0, 30)
    .filter((node) => node.status!.rails[0]!.used > 0)
    .map((node) => node.metadata.name);
  const users = `${who.slice(0, 8).join(", ")} and ${who.length - 8} more`;
  t.same(status.rails, [
    { name: "rail0", ready: 30, nodes: 30, vfs: 240, used, users, addresses: 238, addressesUsed: 30, addressesLeft: 208 },
    { name: "rail1", ready: 30, nodes: 30, vfs: 240, used, users, addressesUsed: 9 },
  ]); // biome-ignore format: rows
  t.match(status.conditions, [
    { type: "Ready", status: "True" },
    { type: "AddressesSuffice", status: "False", reason: "SubnetTooSmall", message: "rail0: 30 nodes have 240 VFs, and 192.168.0.0/24 has 238 addresses" },
  ]); // biome-ignore format: rows
  const [ready, ...rest] = nodes[3]!.status!.conditions;
  const broken = {
    ...nodes[3]!,
    status: {
      ...nodes[3]!.status!,
      conditions: [{ ...ready, status: "False" as const, message: "rail1 (ens2) has no carrier" }, ...rest] as never,
    },
  };
  const later = statusOf({ ...before, status }, [...nodes.slice(0, 3), broken, ...nodes.slice(4)], 60_000);
  t.match(later, { summary: { nodes: "29/30" }, conditions: [{ status: "False", reason: "NodesNotReady", message: "server-3: rail1 (ens2) has no carrier", lastTransitionTime: "1970-01-01T00:01:00Z" }, { lastTransitionTime: "1970-01-01T00:00:00Z" }] }); // biome-ignore format: one row
  t.match(statusOf(before, [], 0).conditions[0], { status: "False", reason: "NoNodes" });
});

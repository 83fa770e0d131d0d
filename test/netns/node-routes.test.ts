// Node traffic over rails: nodes that are namespaces, four rails and a normal network between them; ip(8), sysctl(8) and the links'
// own counters say what came of it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import t, { type Test } from "tap";
import { goes, Mesh, type MeshNode } from "../../lab/netns/mesh.ts";
import { must, pause, start } from "../../lab/netns/run.ts";
import { until } from "../../lab/until.ts";

const RAILNET = resolve("dist/test/railnet");
const ALL = ["r1", "r2", "r3", "r4"];
const without = (rail: number) => ALL.filter((name) => name !== `r${rail}`);

const mesh = await Mesh.create(3);
t.teardown(() => mesh.close());
const [a, b, c] = mesh.nodes as [MeshNode, MeshNode, MeshNode];

for (const { netns } of mesh.nodes)
  await netns.exec("sh", "-c", "for i in all eth0 r1 r2 r3 r4; do echo 1 > /proc/sys/net/ipv4/conf/$i/rp_filter; done");
await must(...a.netns.enter("ping", "-c1", "-W2", b.primary));
const before = await Promise.all(mesh.nodes.map((node) => node.picture()));

/** A gratuitous ARP reply: this MAC has that address. */
const ANNOUNCE = `
import socket, sys
link, ip = sys.argv[1], socket.inet_aton(sys.argv[2])
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((link, 0x0806))
mac = s.getsockname()[4]
s.send(b"\\xff" * 6 + mac + b"\\x08\\x06" + b"\\0\\1\\x08\\0\\6\\4\\0\\2" + mac + ip + b"\\xff" * 6 + ip)`;

const allGo = async () => {
  for (const from of mesh.nodes) for (const to of mesh.nodes) if (from !== to) await goes(from, to, ALL);
};

/** Packets that leave by each link while something is done. */
async function sentWhile({ netns }: MeshNode, work: () => Promise<unknown>): Promise<Record<string, number>> {
  const read = async () =>
    (await netns.show("-s", "link")).map(
      ({ ifname, stats64 }) => [String(ifname), (stats64 as { tx: { packets: number } }).tx.packets] as const,
    );
  const start = new Map(await read());
  await work();
  return Object.fromEntries((await read()).map(([name, packets]) => [name, packets - start.get(name)!]));
}

/** 400 flows of one datagram each. */
const flows = (from: MeshNode, to: MeshNode) =>
  from.netns.exec("bash", "-c", `for i in {1..400}; do echo x 2>/dev/null > /dev/udp/${to.primary}/9; done; true`);

async function spreads(t: Test, from: MeshNode, to: MeshNode, rails: readonly string[]): Promise<void> {
  const sent = await sentWhile(from, () => flows(from, to));
  for (const rail of rails)
    t.ok(sent[rail]! > 400 / rails.length / 2, `${rail} has its share: ${JSON.stringify(sent)}`);
  t.ok(sent["eth0"]! < 10, "the normal network has none");
}

t.test("routes go over all rails, from strict rp_filter on, and flows between primary addresses spread", async (t) => {
  await mesh.start();
  await allGo();
  await spreads(t, a, b, ALL);
  await spreads(t, b, c, ALL);
  const [route] = await a.netns.show("route", "get", b.primary);
  t.equal(route!["prefsrc"], a.primary);
  t.match(await must(...a.netns.enter("ping", "-c3", "-i0.2", "-W2", b.primary)), / 0% packet loss/);
  t.equal((await a.report()).off, "");
  const told = (await a.netns.show("neigh", "show")).filter((entry) => "extern_learn" in entry).map(({ dst, dev }) => `${dst} ${dev}`); // biome-ignore format: one row
  const all = [b, c].flatMap(({ n }) => [1, 2, 3, 4].map((k) => `10.${k}.0.${n} r${k}`));
  t.same(told.sort(), all.sort(), "neighbours that a full table keeps (extern_learn is exempt from gc_thresh)");
});

t.test("a cable that is pulled: its end leaves at once, the far ends soon; both return", async (t) => {
  await mesh.pull(1, 2, false);
  await goes(a, b, without(2));
  await goes(b, a, without(2));
  await goes(c, a, without(2));
  t.same(await b.railsTo(c), ALL, "others are not touched");
  await spreads(t, a, b, without(2));
  await mesh.pull(1, 2, true);
  await allGo();
});

t.test("a rail that is silent though it has carrier", async (t) => {
  await mesh.silence(2, 3, false);
  await goes(a, b, without(3));
  await goes(b, a, without(3));
  t.same(await a.railsTo(c), ALL);
  const { peers } = await a.report();
  t.match(peers.find(({ node }) => node === "node-2")?.ways, [{}, {}, { rail: "rail3", losses: 1 }, {}]);
  await mesh.silence(2, 3, true);
  await allGo();
});

t.test("a whole switch, then all rails of one peer: its traffic goes by the normal network, and returns", async (t) => {
  for (const n of [1, 2, 3]) await mesh.silence(n, 1, false);
  for (const [from, to] of [[a, b], [b, c], [c, a]] as const) await goes(from, to, without(1)); // biome-ignore format: one row
  const told = () => a.news.findLast(({ news }) => news === "reach");
  await until("it says that the rail reaches nobody", told, (one) => one?.news === "reach" && one.rails.some(({ rail, reached, nodes }) => rail === "rail1" && reached === 0 && nodes === 2)); // biome-ignore format: one row
  for (const rail of [2, 3, 4]) await mesh.silence(3, rail, false);
  await goes(a, c, []);
  await goes(c, a, []);
  t.match(await must(...a.netns.enter("ping", "-c2", "-i0.2", "-W2", c.primary)), / 0% packet loss/);
  t.same(await a.railsTo(b), without(1));
  for (const n of [1, 2, 3]) await mesh.silence(n, 1, true);
  for (const rail of [2, 3, 4]) await mesh.silence(3, rail, true);
  await allGo();
});

t.test("an agent that is killed leaves its routes; the next one adopts them, and changes nothing", async (t) => {
  await a.kill();
  t.same(await a.railsTo(b), ALL);
  const monitor = spawn(...a.netns.enter("ip", "monitor", "route"));
  let changes = "";
  monitor.stdout.on("data", (piece) => (changes += piece));
  await pause(300);
  const pinging = must(...a.netns.enter("ping", "-c30", "-i0.1", "-W2", b.primary));
  a.start();
  a.followAgain();
  await until("it asks its neighbours", async () => (await a.report()).answers > 16);
  t.match(await pinging, / 0% packet loss/);
  t.same(await a.railsTo(b), ALL);
  monitor.kill("SIGKILL");
  await once(monitor, "close");
  t.equal(changes.split("\n").filter((line) => /proto 94|metric 94/.test(line)).length, 0, changes); // biome-ignore format: one row
});

t.test("a rail that dies while no agent runs is out soon after one starts", async () => {
  await a.kill();
  await mesh.silence(2, 4, false);
  a.start();
  a.followAgain();
  await goes(a, b, without(4));
  await mesh.silence(2, 4, true);
  await allGo();
});

t.test(
  "a peer that refuses what comes by rails (strict rp_filter, no Railnet any more) is reached by the normal network",
  async (t) => {
    const strict = (value: number) =>
      b.netns.exec("sh", "-c", `for i in r1 r2 r3 r4; do echo ${value} > /proc/sys/net/ipv4/conf/$i/rp_filter; done`);
    await b.kill();
    await b.netns.ip("route", "flush", "proto", "94"); // else strict finds the way back
    await strict(1);
    await a.kill();
    a.start();
    a.followAgain();
    await goes(a, b, []);
    t.same(await a.railsTo(c), ALL);
    t.match(await must(...a.netns.enter("ping", "-c2", "-i0.2", "-W2", b.primary)), / 0% packet loss/);
    const { peers } = await a.report();
    t.match(peers.find(({ node }) => node === "node-2")?.ways, Array(4).fill({ state: "up", isAdmitted: false }));
    await strict(2);
    b.start();
    b.followAgain();
    await allGo();
  },
);

t.test("a switch that takes no packets as large as the rail's is none of its ways", async () => {
  const mtu = (value: number) => mesh.switches.batch([`link set s2_1 mtu ${value}`]);
  await mtu(1400);
  await a.kill();
  a.start();
  a.followAgain();
  await goes(a, b, without(1));
  await mtu(1500);
  await allGo();
});

t.test("somebody's static route to a peer is left alone, and named; ours returns when it goes", async (t) => {
  await a.netns.ip("route", "add", `${b.primary}/32`, "via", "10.1.0.2", "dev", "r1");
  await a.kill();
  a.start();
  a.followAgain();
  await goes(a, b, []);
  const { peers } = await a.report();
  t.match(
    peers.find(({ node }) => node === "node-2"),
    { foreign: 3 },
  );
  t.match(await a.netns.show("route", "show", `${b.primary}/32`), [{ gateway: "10.1.0.2", dev: "r1" }]);
  await a.netns.ip("route", "del", `${b.primary}/32`, "via", "10.1.0.2", "dev", "r1");
  await a.kill();
  a.start();
  a.followAgain();
  await allGo();
});

t.test("a primary address that is removed and set again, as DHCP may: routes are back", async (t) => {
  await a.netns.batch([`addr del ${a.primary}/24 dev eth0`]);
  await until("the agent says why", async () => /InternalIP 10\.99\.0\.1/.test((await a.report()).off));
  t.same(await a.railsTo(b), []);
  await a.netns.batch([`addr add ${a.primary}/24 dev eth0`]);
  await allGo();
});

t.test("somebody else has a peer's rail address: the rail is out while that one answers", async () => {
  await mesh.silence(2, 2, false);
  await c.netns.batch(["addr add 10.2.0.2/16 dev r2"]);
  await goes(a, b, without(2));
  await c.netns.batch(["addr del 10.2.0.2/16 dev r2"]);
  await mesh.silence(2, 2, true);
  await allGo();
});

t.test("a MAC that another node says it has: the next question puts the neighbour right", async (t) => {
  const [{ address: theirs }] = (await b.netns.show("link", "show", "r1")) as [{ address: string }];
  const lladdr = async () => (await a.netns.show("neigh", "show", "10.1.0.2", "dev", "r1"))[0]?.["lladdr"];
  await c.netns.exec("python3", "-c", ANNOUNCE, "r1", "10.1.0.2");
  await until("the neighbour is where its RailPeer says", lladdr, (mac) => mac === theirs);
  t.same(await a.railsTo(b), ALL);
  t.match(await must(...a.netns.enter("ping", "-c2", "-i0.2", "-W2", b.primary)), / 0% packet loss/);
});

t.test(
  "a node that was made anew, of which only the old RailPeer is known: by rails it still has, until the new one is heard",
  async () => {
    const peers = await Promise.all(mesh.nodes.map((node) => node.published()));
    await b.netns.batch(["link set r2 address 02:00:00:00:02:99"]);
    await goes(a, b, without(2));
    await until("it says its new MAC", async () => (await b.published()).spec.rails[1]!.mac === "02:00:00:00:02:99");
    await a.follow([peers[0]!, await b.published(), peers[2]!]);
    await goes(a, b, ALL);
    await c.follow([peers[0]!, await b.published(), peers[2]!]);
    await allGo();
  },
);

t.test("a rail with a larger MTU than the peer's is not used by its own node, and both are named", async (t) => {
  await a.netns.batch(["link set r4 mtu 9000"]);
  await goes(a, b, without(4));
  const { refused } = await a.report();
  t.match(
    refused.filter(({ peer }) => peer === "node-2"),
    [{ rail: "rail4", why: /^mtu 1500: this node's is 9000/ }],
  );
  await a.netns.batch(["link set r4 mtu 1500"]);
  await allGo();
});

t.test("a cable that flaps: routes do not follow each time, and return when it is calm", async (t) => {
  const monitor = spawn(...a.netns.enter("ip", "monitor", "route"));
  let changes = "";
  monitor.stdout.on("data", (piece) => (changes += piece));
  for (let turn = 0; turn < 10; turn++) {
    await mesh.pull(1, 3, turn % 2 === 1);
    await pause(200);
  }
  await allGo();
  monitor.kill("SIGKILL");
  await once(monitor, "close");
  const written = changes.split("\n").filter((line) => line.startsWith(b.primary)).length;
  t.ok(written <= 4, `written ${written} times in 5 losses: ${changes}`);
});

t.test("both ends' agents are killed, and a rail dies: the kernel leaves it out by itself", async () => {
  for (const node of [a, b]) await node.kill();
  await mesh.silence(2, 3, false);
  await until(
    "nothing goes by it",
    async () => (await sentWhile(a, () => flows(a, b))) as Record<string, number>,
    ({ r1, r3 }) => r1! > 50 && r3! < 10, // what is asked of the neighbour still goes
  );
  for (const node of [a, b]) {
    node.start();
    node.followAgain();
  }
  await goes(a, b, without(3));
  await mesh.silence(2, 3, true);
  await allGo();
});

t.test(
  "pods of other nodes go by rails, too, past the cluster network's own route, which is there when no rail is",
  async (t) => {
    const choice = { exclude: [], weights: "speed", podCIDRs: true } as const;
    const pods = (node: MeshNode) => `10.244.${node.n}.0/24`;
    const others = mesh.nodes.map((node) => mesh.nodes.filter((other) => other !== node));
    for (const [i, node] of mesh.nodes.entries())
      await node.netns.batch([
        `addr add 10.244.${node.n}.1/32 dev lo`,
        ...others[i]!.map((other) => `route add ${pods(other)} via ${other.primary} dev eth0 proto bird`),
      ]);
    for (const node of mesh.nodes) await node.follow([], { choice, podCIDRs: [pods(node)] });
    const publishes = async (node: MeshNode) => {
      await until("it says which pods it has", async () => (await node.published()).spec.podCIDRs?.[0] === pods(node));
      return node.published();
    };
    const peers = await Promise.all(mesh.nodes.map(publishes));
    for (const node of mesh.nodes) await node.follow(peers, { choice, podCIDRs: [pods(node)] });
    await allGo();
    for (const half of ["10.244.2.0/25", "10.244.2.128/25"])
    t.match(await a.netns.show("route", "show", half), [{ protocol: "94", prefsrc: a.primary, nexthops: Array(4).fill({}) }], half); // biome-ignore format: one row
    t.match(await a.netns.show("route", "show", pods(b)), [{ protocol: "bird", gateway: b.primary }]);
    t.match((await a.netns.show("route", "get", "10.244.2.1"))[0]!["dev"], /^r[1-4]$/);
    t.match(await must(...a.netns.enter("ping", "-c2", "-i0.2", "-W2", "10.244.2.1")), / 0% packet loss/);
    for (const rail of [1, 2, 3, 4]) await mesh.silence(2, rail, false);
    await goes(a, b, []);
    t.match(await a.netns.show("route", "get", "10.244.2.1"), [{ dev: "eth0", gateway: b.primary }]);
    t.match(await must(...a.netns.enter("ping", "-c2", "-i0.2", "-W2", "10.244.2.1")), / 0% packet loss/);
    for (const rail of [1, 2, 3, 4]) await mesh.silence(2, rail, true);
    await allGo();
    for (const node of mesh.nodes) await node.follow(peers);
    const halves = async () => (await a.netns.show("route", "show", "protocol", "94")).map(({ dst }) => dst);
    await until("pods go the cluster's way again", halves, (found) => found.every((dst) => !`${dst}`.includes("/")));
    for (const [i, node] of mesh.nodes.entries())
      await node.netns.batch([
        `addr del 10.244.${node.n}.1/32 dev lo`,
        ...others[i]!.map((other) => `route del ${pods(other)} proto bird`),
      ]);
  },
);

t.test("a sysctl that is turned back is set again when an agent starts", async (t) => {
  await a.netns.exec("sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/r1/rp_filter");
  await a.kill();
  a.start();
  a.followAgain();
  const value = () => a.netns.exec("cat", "/proc/sys/net/ipv4/conf/r1/rp_filter");
  await until("it is loose again", async () => (await value()).trim() === "2");
  t.same(await a.railsTo(b), ALL);
});

t.test("off: sysctls, routes and neighbours are as before; so they are by uninstall, and after a kill", async (t) => {
  await b.kill();
  b.start();
  await c.kill();
  const uninstall = start(...c.netns.enter(RAILNET, "uninstall", "--root", `${c.stateDir}/root`), {
    env: { RAILNET_STATE_DIR: c.stateDir, RAILNET_RUN_DIR: `${c.stateDir}/run` },
  });
  for (const node of [a, b]) node.stop();
  t.match(await uninstall, { exit: 0, stdout: /^put back {2}routes over rails, and the settings of this node/m });
  for (const [i, node] of mesh.nodes.entries()) {
    const same = async () => JSON.stringify(await node.picture()) === JSON.stringify(before[i]);
    await until(`node ${node.n} is as before`, same, { limitMs: 20_000 }).catch(() => {});
    t.same(await node.picture(), before[i], `node ${node.n}`);
  }
  t.match((await a.report()).off, /nodes\.routes/);
});

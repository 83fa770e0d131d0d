import { mkdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { NO_MAC } from "../../../cni/attachment/mac.ts";
import { writeNetworks } from "../../../daemonset/rail-network/file.ts";
import type { FollowedNetwork } from "../../../daemonset/rail-network/listed.ts";
import { Altnames } from "../../../daemonset/rails/altname.ts";
import { type KeeperHost, RailKeeper } from "../../../daemonset/rails/keeper.ts";
import type { CarryOut, RailOrder } from "../../../daemonset/rails/orders.ts";
import { ensureRdmaMode } from "../../../daemonset/rails/rdma-mode.ts";
import { u8 } from "../../../kernel/netlink/attribute.ts";
import { type Message, type NetlinkConnection, NetlinkError, type Query } from "../../../kernel/netlink/message.ts";
import { getRdmaNetnsMode } from "../../../kernel/rdma.ts";
import { KeptLog } from "../support/log.ts";
import { PfTree } from "../support/pf-tree.ts";

const A = "0000:a0:00.0";
const B = "0000:b0:00.0";

/** A node with two PFs of 8 VFs and a ConfigMap as the kubelet mounts one: a link to a link to a directory. */
class Node {
  readonly tree: PfTree;
  readonly log = new KeptLog();
  readonly written: string[] = [];
  readonly users = new Map<string, string>();
  readonly keeper: RailKeeper;
  /** Administrative MACs of VFs. */
  readonly macs = new Map<string, string>();
  readonly rebound: string[] = [];
  readonly orders: RailOrder[] = [];
  /** VFs that their PF does not tell of just now. */
  readonly hidden = new Set<string>();
  nowMs = 0;
  refuse: string | undefined;
  readonly rdma = { mode: 1, refuse: "" };
  readonly #config: string;
  readonly #networks: string;
  #version = 0;

  constructor(t: Test, change: Partial<KeeperHost> = {}) {
    const dir = t.testdir();
    this.tree = new PfTree(join(dir, "sys"));
    this.tree.addPf({ pci: A, netdev: "ens1", driver: "ice" });
    this.tree.addPf({ pci: B, netdev: "ens2", driver: "ice" });
    this.#config = join(dir, "config");
    this.#networks = join(dir, "rail-networks.json");
    mkdirSync(this.#config);
    symlinkSync("..data/rails", join(this.#config, "rails"));
    this.keeper = new RailKeeper({
      railFiles: { config: join(this.#config, "rails"), networks: this.#networks },
      sysfs: this.tree.root,
      log: this.log,
      setNumVfs: async ({ pci }, count) => this.#write(pci, count),
      carryOut: this.#carryOut,
      rebind: async (vf) => this.#rebind(vf),
      altnames: new Altnames(this.#carryOut, () => this.nowMs),
      userOf: async (vf) => this.users.get(vf),
      lock: () => ({ [Symbol.dispose]: () => {} }),
      nowMs: () => this.nowMs,
      step: () => {},
      ...change,
    });
  }

  /** As the kubelet does: a new directory, and one rename that puts it in place. */
  configure(text: string): this {
    const version = `..v${this.#version++}`;
    mkdirSync(join(this.#config, version));
    writeFileSync(join(this.#config, version, "rails"), text);
    symlinkSync(version, join(this.#config, "..data_tmp"));
    renameSync(join(this.#config, "..data_tmp"), join(this.#config, "..data"));
    return this;
  }

  /** As the agent writes what it hears. */
  follow(networks: readonly FollowedNetwork[]): void {
    writeNetworks(this.#networks, networks);
  }

  async look(): Promise<string[]> {
    await this.keeper.look();
    return this.log.take();
  }

  here(): string[] {
    return this.keeper.here.map(({ rail, pf }) => `${rail.name} ${pf.name}`);
  }

  readonly #carryOut = (async (order: RailOrder) => {
    this.orders.push(order);
    if (order.do === "list-admin-macs")
      return new Map([...this.tree.vfs(order.pf).entries()].flatMap(([i, vf]) => (this.hidden.has(vf) ? [] : [[i, this.macs.get(vf) ?? NO_MAC] as const]))); // biome-ignore format: one line
    if (order.do === "give-own-mac")
      return void this.macs.set(this.tree.vfs(order.pf)[order.index]!, "02:00:00:00:00:01");
    if (order.do === "set-rdma-mode") return ensureRdmaMode(order.mode, () => this.#rdma());
    if (order.do === "find-altnames") return new Map(order.altnames.includes("fast0") ? [["fast0", "ens1"]] : []);
    return undefined;
  }) as CarryOut;

  /** As mlx5 does: the node GUID is made of the MAC when the driver binds. */
  #rebind(vf: string): void {
    this.rebound.push(vf);
    this.tree.file(
      vf,
      "infiniband/mlx5_2/node_guid",
      this.macs.has(vf) ? "0200:00ff:fe00:0001\n" : "0000:00ff:fe00:0000\n",
    );
  }

  #write(pci: string, count: number): void {
    if (this.refuse) throw Object.assign(new Error(this.refuse), { code: this.refuse });
    this.tree.writeNumVfs(pci, count);
    this.written.push(`${pci} ${count}`);
  }

  #rdma(): NetlinkConnection & Disposable {
    const request = ({ type, body }: Message) => {
      if (type === getRdmaNetnsMode().type) return u8(66, this.rdma.mode);
      if (this.rdma.refuse) throw new NetlinkError("set the mode", this.rdma.refuse, "");
      this.rdma.mode = body[4]!;
      return undefined;
    };
    const get = <T>({ message, parse }: Query<T>): T => parse(request(message)!);
    return { get, request, [Symbol.dispose]: () => {} } as unknown as NetlinkConnection & Disposable;
  }
}

const rails = (vfs: number, more = "") =>
  `[{name: rail0, vfs: ${vfs}, pf: {names: [ens1]}${more}}, {name: rail1, vfs: 2, pf: {names: [ens2]}}]`;

t.test("look() makes the VFs of every rail, says so once, and is then content", async (t) => {
  const node = new Node(t).configure(rails(4));
  t.same(await node.look(), [
    "info rail is on this node",
    "info rail is on this node",
    "info VFs made",
    "info VFs made",
  ]);
  t.same(node.written, [`${A} 4`, `${B} 2`]);
  t.same(node.here(), ["rail0 ens1", "rail1 ens2"]);
  t.same(await node.look(), []);
  t.equal(node.written.length, 2);
});

t.test("look() says which rails a node does not have, and is no error", async (t) => {
  const node = new Node(t).configure("[{name: rail0, pf: {names: [ens1]}}, {name: rail9, pf: {names: [ens9]}}]");
  t.same(await node.look(), [
    "info rail is on this node",
    "info rail is not on this node: no PF of this node matches its selectors",
  ]);
  t.same(node.here(), ["rail0 ens1"]);
  node.tree.addPf({ pci: "0000:c0:00.0", netdev: "ens9" });
  t.same(await node.look(), ["info rail is on this node"], "its driver came later");
  t.same(node.here(), ["rail0 ens1", "rail9 ens9"]);
});

t.test("look() follows a ConfigMap whose links change", async (t) => {
  const node = new Node(t).configure(rails(4));
  await node.look();
  node.configure(rails(8));
  t.same(await node.look(), ["info VFs removed, to make others", "info VFs made"]);
  t.same(node.written.slice(2), [`${A} 0`, `${A} 8`]);
  node.configure("[]");
  t.same(await node.look(), []);
  t.same(node.here(), []);
  t.equal(node.tree.numVfs(A), "8", "what is no rail any more keeps its VFs");
});

t.test("look() keeps the last good list when the new one is none, and says it once", async (t) => {
  const node = new Node(t).configure(rails(4));
  await node.look();
  node.configure("[{name: rail0}]");
  t.match(await node.look(), [
    /^warn the list of rails is not usable: the last good one stays: cannot use rail "rail0": pf is missing/,
  ]);
  t.same(await node.look(), []);
  t.same(node.here(), ["rail0 ens1", "rail1 ens2"]);
  node.configure(rails(4));
  t.same(await node.look(), []);
  node.configure("[{name: rail0}]");
  t.equal((await node.look()).length, 1, "a second mistake is said again");
});

t.test("look() waits until nobody has a VF of the PF, then makes the others", async (t) => {
  const node = new Node(t).configure(rails(4));
  await node.look();
  const [vf] = node.tree.vfs(A);
  node.users.set(vf!, `VF ${vf} is in use by pod default/a`);
  node.configure(rails(8));
  const why = `it has 4, and the kernel would have to remove all of them: VF ${vf} is in use by pod default/a`;
  t.same(await node.look(), [`warn the VFs of a PF stay as they are: ${why}`]);
  t.same(await node.look(), []);
  t.equal(node.tree.numVfs(A), "4");
  node.users.clear();
  t.same(await node.look(), ["info VFs removed, to make others", "info VFs made"]);
});

t.test("look() asks again after a minute for what the kernel refused, at once for something else", async (t) => {
  const node = new Node(t).configure(rails(4));
  node.refuse = "ENOMEM";
  t.equal((await node.look()).filter((line) => /^warn a rail is not as it should be: .*ENOMEM/.test(line)).length, 2);
  node.refuse = undefined;
  t.same(await node.look(), []);
  t.same(node.written, []);
  node.configure(rails(6));
  await node.look();
  t.same(node.written, [`${A} 6`]);
  node.nowMs = 60_000;
  await node.look();
  t.same(node.written, [`${A} 6`, `${B} 2`]);
});

t.test(
  "look() sets the RDMA namespace mode before it makes VFs, and only when a rail of this node says so",
  async (t) => {
    const node = new Node(t).configure(rails(0));
    await node.look();
    t.equal(node.rdma.mode, 1);
    node.configure(rails(4, ", rdma: exclusive"));
    t.same(await node.look(), ["info RDMA namespace mode set", "info VFs made"]);
    t.equal(node.rdma.mode, 0);
    t.same(await node.look(), []);
    node.configure("[{name: rail9, rdma: shared, pf: {names: [ens9]}}]");
    await node.look();
    t.equal(node.rdma.mode, 0);
  },
);

t.test("look() says what helps when the RDMA namespace mode cannot be set, and makes the VFs", async (t) => {
  const node = new Node(t).configure(rails(4, ", rdma: exclusive"));
  node.rdma.refuse = "EBUSY";
  t.same((await node.look()).slice(2), [
    "warn a rail is not as it should be: cannot set the RDMA namespace mode to exclusive: EBUSY: pods or other network namespaces exist already: " +
      'put "options ib_core netns_mode=0" into /etc/modprobe.d/ib_core.conf and reboot',
    "info VFs made",
    "info VFs made",
  ]);
});

t.test("look() brings VFs back that somebody removed", async (t) => {
  const node = new Node(t).configure(rails(4));
  await node.look();
  node.tree.writeNumVfs(A, 0);
  t.same(await node.look(), ["info VFs made"]);
  t.equal(node.tree.numVfs(A), "4");
});

t.test(
  "look() sets PFs up beside each other: one that is stuck keeps no other waiting, nor the next look",
  async (t) => {
    const stuck = Promise.withResolvers<void>();
    const written: string[] = [];
    const node: Node = new Node(t, {
      setNumVfs: async ({ pci }, count) => {
        if (pci === A) await stuck.promise;
        written.push(`${pci} ${count}`);
        node.tree.writeNumVfs(pci, count);
      },
    }).configure(rails(4));
    const first = node.keeper.look();
    const until = async (is: () => boolean) => {
      while (!is()) await new Promise((resolve) => setTimeout(resolve, 1));
    };
    await until(() => written.length > 0);
    t.same(written, [`${B} 2`]);
    const second = node.keeper.look();
    t.same(node.here(), ["rail0 ens1", "rail1 ens2"], "what is here is known meanwhile");
    stuck.resolve();
    await Promise.all([first, second]);
    t.same(written, [`${B} 2`, `${A} 4`], "and each was asked once");
  },
);

t.test("look() finds a PF by its alternative name", async (t) => {
  const node = new Node(t).configure("[{name: rail0, pf: {names: [fast0]}}]");
  await node.look();
  t.same(node.here(), ["rail0 ens1"]);
});

t.test("look() gives new VFs of mlx5 their MAC and binds them anew, each when nobody has it", async (t) => {
  const node = new Node(t).configure("[{name: rail0, vfs: 0, pf: {names: [ens1]}}]");
  node.tree.bind(A, "mlx5_core");
  node.tree.writeNumVfs(A, 3);
  const [fresh, used, managed] = node.tree.vfs(A) as [string, string, string];
  for (const vf of [fresh, used]) node.tree.file(vf, "infiniband/mlx5_2/node_guid", "0000:0000:0000:0000\n");
  node.macs.set(managed, "02:ad:00:00:00:01");
  node.users.set(used, `VF ${used} is in use by pod default/a`);
  t.same(await node.look(), [
    "info rail is on this node",
    "info a new VF has its MAC and node GUID",
    `warn VFs wait for an administrator's MAC: VF ${used} is in use by pod default/a`,
  ]);
  t.same(node.rebound, [fresh], "one that has a MAC is left alone");
  t.equal(node.macs.get(used), undefined);
  node.users.clear();
  node.nowMs = 60_000;
  t.same(await node.look(), ["info a new VF has its MAC and node GUID"]);
  t.same(node.rebound, [fresh, used]);
  t.same(await node.look(), []);
  t.equal(node.rebound.length, 2);
});

/** An mlx5 PF whose VFs are as wanted. */
function mlx5(t: Test, vfs: number, text = "[{name: rail0, vfs: 0, pf: {names: [ens1]}}]"): Node {
  const node = new Node(t).configure(text);
  node.tree.bind(A, "mlx5_core");
  node.tree.writeNumVfs(A, vfs);
  return node;
}
const GOOD = "0200:00ff:fe00:0001\n";
const asked = (node: Node) => node.orders.splice(0).map((order) => order.do);

for (const guid of ["0000:0000:0000:0000", "0000:00ff:fe00:0000"])
  t.test(`look() binds a VF anew that has a MAC and the node GUID ${guid}, and leaves the MAC`, async (t) => {
    const node = mlx5(t, 1);
    const [vf] = node.tree.vfs(A) as [string];
    node.macs.set(vf, "02:ad:00:00:00:01");
    node.tree.file(vf, "infiniband/mlx5_2/node_guid", `${guid}\n`);
    await node.look();
    t.same([node.rebound, node.macs.get(vf)], [[vf], "02:ad:00:00:00:01"]);
  });

t.test(
  "look() asks a PF for the MACs of its VFs once, and again only for one that has lost its node GUID",
  async (t) => {
    const node = mlx5(t, 2);
    const [first, second] = node.tree.vfs(A) as [string, string];
    for (const vf of [first, second]) node.macs.set(vf, "02:ad:00:00:00:01");
    await node.look();
    t.same(asked(node), ["list-admin-macs"]);
    node.nowMs = 120_000;
    await node.look();
    t.same(asked(node), []);
    node.macs.delete(second); // somebody has set it to none, and bound the VF anew
    node.tree.file(second, "infiniband/mlx5_2/node_guid", "0000:00ff:fe00:0000\n");
    await node.look();
    t.same(asked(node), ["list-admin-macs", "give-own-mac"]);
    t.same(node.rebound, [second]);
    node.nowMs = 240_000;
    await node.look();
    t.same(asked(node), [], "what was given needs no look");
  },
);

t.test("look() asks once a minute while somebody has a VF without MAC", async (t) => {
  const node = mlx5(t, 1);
  const [vf] = node.tree.vfs(A) as [string];
  node.users.set(vf, `VF ${vf} is in use by pod default/a`);
  for (let look = 0; look < 3; look++) await node.look();
  t.same(asked(node), ["list-admin-macs"]);
  node.nowMs = 60_000;
  await node.look();
  t.same(asked(node), ["list-admin-macs"]);
});

t.test(
  "look() gives VFs that are made anew their MACs at once, though others of their addresses had them or waited",
  async (t) => {
    const node = mlx5(t, 0, "[{name: rail0, vfs: 1, pf: {names: [ens1]}}]");
    await node.look();
    const [vf] = node.tree.vfs(A) as [string];
    t.same(node.rebound, [vf]);
    const anew = async () => {
      node.rebound.length = 0;
      node.tree.writeNumVfs(A, 0);
      node.macs.clear();
      await node.look();
    };
    await anew();
    t.same(node.rebound, [vf], "the one before had its MAC");
    node.users.set(vf, `VF ${vf} is in use by pod default/a`);
    await anew();
    t.same(node.rebound, []);
    node.users.clear();
    await anew();
    t.same(node.rebound, [vf], "the one before waited");
  },
);

t.test("look() leaves VFs alone that the PF hides, that userspace drives, or that no driver has", async (t) => {
  const node = mlx5(t, 3);
  const [hidden, userspace, bare] = node.tree.vfs(A) as [string, string, string];
  node.tree.file(hidden, "infiniband/mlx5_2/node_guid", GOOD);
  node.hidden.add(hidden);
  node.tree.bind(userspace, "vfio-pci");
  node.tree.unbind(bare);
  await node.look();
  t.same([node.rebound, asked(node)], [[], ["list-admin-macs"]]);
});

t.test("look() gives none to VFs of drivers that show the VF's own", async (t) => {
  const node = new Node(t).configure("[{name: rail0, pf: {names: [ens3]}}]");
  node.tree.addPf({ pci: "0000:c0:00.0", netdev: "ens3", driver: "ice" });
  node.tree.writeNumVfs("0000:c0:00.0", 2);
  await node.look();
  t.same(node.rebound, []);
});

for (const [what, change, why] of [
  ["InfiniBand", (tree: PfTree) => tree.file(A, "net/ens1/type", "32\n"), /no Ethernet \(type 32\)/],
  [
    "switchdev",
    (tree: PfTree) => tree.addRepresentors(A, "ens1"),
    /switchdev mode, and representors are not supported/,
  ],
] as const)
  t.test(`look() makes no VFs of a PF that cannot be a rail: ${what}`, async (t) => {
    const node = new Node(t).configure(rails(4));
    change(node.tree);
    t.match(await node.look(), [/here|node/, /node/, why, /VFs made/]);
    t.same(node.written, [`${B} 2`]);
    t.same(node.here(), ["rail0 ens1", "rail1 ens2"], "it keeps its own name");
    t.same(await node.look(), [], "said once");
  });

t.test(
  "RailKeeper has the rails of RailNetworks where there are some, and the ConfigMap's when they are gone",
  async (t) => {
    const node = new Node(t).configure("[{name: old, pf: {names: [ens1]}}]");
    await node.look();
    t.same(node.here(), ["old ens1"]);
    node.follow([
      { name: "first", rails: [{ name: "rail0", pf: { names: ["ens1"] }, vfs: 4, mtu: 9000 }] },
      {
        name: "second",
        rails: [
          { name: "rail1", pf: { names: ["ens1"] } },
          { name: "rail0", pf: { names: ["ens2"] } },
        ],
      },
    ]);
    await node.look();
    t.same(node.here(), ["rail0 ens1"]);
    t.same(node.tree.numVfs(A), "4");
    t.match(node.keeper.seen, {
      networks: ["first", "second"],
      unusable: "",
      absent: [
        { rail: "rail0", why: "RailNetwork second: rail rail0 of RailNetwork first has its name" },
        { rail: "rail1", why: "ens1 (0000:a0:00.0) is the PF of rail rail0" },
      ],
    });
    node.follow([]);
    await node.look();
    t.same(node.here(), ["old ens1"]);
    t.same(node.tree.numVfs(A), "4", "VFs stay");
  },
);

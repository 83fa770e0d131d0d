import { mkdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Test } from "tap";
import { NO_MAC } from "../../../../cni/attachment/mac.ts";
import { writeNetworks } from "../../../../daemonset/rail-network/file.ts";
import type { FollowedNetwork } from "../../../../daemonset/rail-network/listed.ts";
import { Altnames } from "../../../../daemonset/rails/altname.ts";
import { type KeeperHost, RailKeeper } from "../../../../daemonset/rails/keeper.ts";
import type { CarryOut, RailOrder } from "../../../../daemonset/rails/orders.ts";
import { ensureRdmaMode } from "../../../../daemonset/rails/rdma-mode.ts";
import { u8 } from "../../../../kernel/netlink/attribute.ts";
import { type Message, type NetlinkConnection, NetlinkError, type Query } from "../../../../kernel/netlink/message.ts";
import { getRdmaNetnsMode } from "../../../../kernel/rdma.ts";
import { KeptLog } from "../../support/log.ts";
import { PfTree } from "../../support/pf-tree.ts";

/** The two PFs. */
export const A = "0000:a0:00.0";
export const B = "0000:b0:00.0";

/** A node with two PFs of 8 VFs and a ConfigMap as the kubelet mounts one: a link to a link to a directory. */
export class RailsNode {
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
      return new Map(
        [...this.tree.vfs(order.pf).entries()].flatMap(([i, vf]) =>
          this.hidden.has(vf) ? [] : [[i, this.macs.get(vf) ?? NO_MAC] as const],
        ),
      );
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

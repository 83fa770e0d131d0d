import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { readBootId } from "../../cni/boot-id.ts";
import type { RailPeer, RailPeerSpec } from "../../daemonset/routes/object.ts";
import type { RoutesJob, RoutesNews, RoutesOrder, RoutesReport } from "../../daemonset/routes/order.ts";
import { until } from "../until.ts";
import { Netns } from "./netns.ts";
import { sweep, worldPrefix } from "./sweep.ts";

const RAILS = 4;
const bun = resolve("node_modules/.bin/bun");
const program = resolve(import.meta.dirname, "routes-node.ts");

/** Nodes that are network namespaces, with a normal network and four rails, each a bridge in the namespace of the switches. */
export class Mesh {
  readonly nodes: readonly MeshNode[];
  readonly switches: Netns;
  readonly #dir: string;

  private constructor(dir: string, switches: Netns, nodes: readonly MeshNode[]) {
    this.#dir = dir;
    this.switches = switches;
    this.nodes = nodes;
  }

  static async create(count: number): Promise<Mesh> {
    sweep();
    const dir = mkdtempSync(worldPrefix());
    const switches = await Netns.create(join(dir, "switches"));
    await switches.batch(
      Array.from({ length: RAILS + 1 }, (_, k) => [`link add br${k} type bridge mcast_snooping 0`, `link set br${k} up`]).flat(), // biome-ignore format: one row
    );
    const nodes: MeshNode[] = [];
    for (let n = 1; n <= count; n++) nodes.push(await MeshNode.create(join(dir, `node-${n}`), n, switches));
    return new Mesh(dir, switches, nodes);
  }

  /** Waits until all agents run, and know each other. */
  async start(more: Partial<RoutesOrder> = {}): Promise<void> {
    for (const node of this.nodes) node.start();
    for (const node of this.nodes) await node.follow([], more);
    const peers = await Promise.all(this.nodes.map((node) => node.published()));
    for (const node of this.nodes) await node.follow(peers, more);
  }

  /** A cable between a node and its switch: pulled at the node's end, so that it has no carrier. */
  async pull(n: number, rail: number, isIn: boolean): Promise<void> {
    await this.switches.ip("link", "set", `s${n}_${rail}`, isIn ? "up" : "down");
  }

  /** The switch drops everything from a node's cable, while the link stays up. */
  async silence(n: number, rail: number, isHeard: boolean): Promise<void> {
    await this.switches.batch([`link set s${n}_${rail} ${isHeard ? `master br${rail}` : "nomaster"}`]);
  }

  async close(): Promise<void> {
    for (const node of this.nodes) await node.kill();
    await Promise.all([this.switches, ...this.nodes.map(({ netns }) => netns)].map((netns) => netns.remove()));
    rmSync(this.#dir, { recursive: true });
  }
}

type Json = Record<string, unknown>;

/** Waits until routes use these rails, and no others. */
export const goes = (from: MeshNode, to: MeshNode, rails: readonly string[]): Promise<void> =>
  until(`node ${from.n} to ${to.n} by ${rails}`, async () => `${await from.railsTo(to)}` === `${rails}`);

/** One node, and the thread that keeps its routes. */
export class MeshNode {
  readonly n: number;
  readonly netns: Netns;
  readonly news: RoutesNews[] = [];
  readonly stateDir: string;
  #process: ChildProcessWithoutNullStreams | undefined;
  #identity: RailPeerSpec | undefined;
  #report: RoutesReport | undefined;
  #order: RoutesOrder | undefined;

  private constructor(n: number, netns: Netns, stateDir: string) {
    this.n = n;
    this.netns = netns;
    this.stateDir = stateDir;
  }

  static async create(path: string, n: number, switches: Netns): Promise<MeshNode> {
    const netns = await Netns.create(path);
    await netns.exec("sh", "-c", "for i in all default; do echo 1 > /proc/sys/net/ipv6/conf/$i/disable_ipv6; done");
    const link = (k: number) => (k === 0 ? "eth0" : `r${k}`);
    const all = Array.from({ length: RAILS + 1 }, (_, k) => k);
    await switches.batch(
      all.flatMap((k) => [`link add s${n}_${k} type veth peer name ${link(k)} netns ${path}`, `link set s${n}_${k} master br${k} up`]), // biome-ignore format: one row
    );
    await netns.batch([
      "link set lo up",
      ...all.map((k) => `link set ${link(k)} up`),
      `addr add 10.99.0.${n}/24 dev eth0`,
      ...all.slice(1).map((k) => `addr add 10.${k}.0.${n}/16 dev r${k}`),
    ]);
    const stateDir = `${path}.state`;
    mkdirSync(stateDir);
    return new MeshNode(n, netns, stateDir);
  }

  get primary(): string {
    return `10.99.0.${this.n}`;
  }

  get pid(): number {
    return this.#process!.pid!;
  }

  start(): void {
    const child = spawn(...this.netns.enter(bun, program));
    child.stderr.pipe(process.stderr);
    createInterface({ input: child.stdout }).on("line", (line) => this.#hear(JSON.parse(line)));
    this.#process = child;
    this.#identity = undefined;
    this.#tell({ do: "start", stateDir: this.stateDir, sysfs: "/sys", bootId: readBootId() });
  }

  async kill(): Promise<void> {
    if (!this.#process || this.#process.exitCode !== null || this.#process.signalCode) return;
    const ended = once(this.#process, "close");
    this.#process.kill("SIGKILL");
    await ended;
  }

  async follow(peers: readonly RailPeer[], more: Partial<RoutesOrder> = {}): Promise<void> {
    const rails = Array.from({ length: RAILS }, (_, k) => ({ name: `rail${k + 1}`, netdev: `r${k + 1}` }));
    const choice = { exclude: [], weights: "speed" } as const;
    this.#order = { node: `node-${this.n}`, primary: this.primary, rails, peers, choice, ...more };
    this.#tell({ do: "follow", order: this.#order });
  }

  /** Turns routes off. */
  stop(): void {
    this.#tell({ do: "follow", order: undefined });
  }

  /** The same order, as an agent that starts finds it on its disk. */
  followAgain(): void {
    this.#tell({ do: "follow", order: this.#order });
  }

  async published(): Promise<RailPeer> {
    await until(`node ${this.n} says who it is`, () => this.#identity !== undefined);
    const metadata = { name: `node-${this.n}` };
    return { apiVersion: "railnet.io/v1alpha1", kind: "RailPeer", metadata, spec: this.#identity! };
  }

  async report(): Promise<RoutesReport> {
    this.#report = undefined;
    this.#tell({ do: "report", id: 1 });
    await until(`node ${this.n} reports`, () => this.#report !== undefined);
    return this.#report!;
  }

  /** Links of the route to a peer, as ip(8) has it; none without. */
  async railsTo(peer: MeshNode): Promise<string[]> {
    const [route] = await this.netns.show("route", "show", "protocol", "94", `${peer.primary}/32`);
    const hops = (route?.["nexthops"] as Json[] | undefined) ?? (route ? [route] : []);
    return hops.map(({ dev }) => String(dev)).sort();
  }

  /** Everything that must be unchanged when routes are off again: sysctls, routes, and neighbour entries. */
  async picture(): Promise<unknown> {
    const all = (await this.netns.exec("sysctl", "-a")).split("\n");
    const sysctls = all.filter((line) => /^net\.ipv[46]/.test(line) && !/\.stable_secret/.test(line));
    const [routes, neighbours] = await this.netns.showAll("route show table all", "neigh show");
    const told = neighbours!.filter((entry) => "extern_learn" in entry);
    return { sysctls, routes: routes!.map((route) => JSON.stringify(route)).sort(), told };
  }

  #tell(job: RoutesJob): void {
    this.#process!.stdin.write(`${JSON.stringify(job)}\n`);
  }

  #hear(news: RoutesNews): void {
    this.news.push(news);
    if (news.news === "identity") this.#identity = news.identity;
    if (news.news === "report") this.#report = news.report;
  }
}

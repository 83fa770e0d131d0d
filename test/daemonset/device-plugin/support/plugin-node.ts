import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Test } from "tap";
import { Resources } from "../../../../daemonset/device-plugin/resources.ts";
import type { SetsHere } from "../../../../daemonset/device-plugin/sets.ts";
import type { Tenants } from "../../../../daemonset/device-plugin/tenants.ts";
import { parseRails } from "../../../../daemonset/rails/config.ts";
import { listPfFacts, selectPfs } from "../../../../daemonset/rails/select.ts";
import { until } from "../../../../lab/until.ts";
import { KeptLog } from "../../support/log.ts";
import { PfTree } from "../../support/pf-tree.ts";
import { FakeKubelet } from "./kubelet.ts";

export const PF = "0000:a0:00.0";
export const RAIL0 = "railnet.io/rail0";
export const RAIL1 = "example.com/fast";

/** A node of two rails with three VFs each, and a kubelet. */
export class PluginNode {
  readonly dir: string;
  readonly infoDir: string;
  readonly runDir: string;
  readonly tree: PfTree;
  readonly log = new KeptLog();
  readonly kubelet: FakeKubelet;
  readonly attached = new Set<string>();
  readonly owed = new Set<string>();
  readonly unfit: Record<string, string> = {};
  sets: SetsHere = { count: 0, rails: [], inSets: new Set() };
  /** What was locked and promised of RDMA, in order. */
  readonly promised: string[] = [];
  /** By default no RailNetwork gives VFs to pods. */
  tenants: Tenants = { governs: () => false, whyNotStart: () => undefined };
  resources: Resources;
  nowMs = 1_000_000;
  rails = `
- { name: rail0, pf: { names: [ens1] }, rdma: exclusive }
- { name: rail1, pf: { names: [ens2] }, resource: ${RAIL1} }`;

  private constructor(t: Test) {
    const root = mkdtempSync(join(tmpdir(), "plugin-")); // a socket's path is at most 107 bytes long
    t.teardown(() => rmSync(root, { recursive: true }));
    this.dir = join(root, "p");
    this.infoDir = join(root, "devinfo/dp");
    this.runDir = join(root, "run");
    mkdirSync(this.dir);
    this.tree = new PfTree(join(root, "sys"));
    this.tree.addPf({ pci: PF, netdev: "ens1", numaNode: 0 });
    this.tree.addPf({ pci: "0000:b0:00.0", netdev: "ens2", numaNode: 1 });
    for (const pf of [PF, "0000:b0:00.0"]) this.tree.writeNumVfs(pf, 3);
    this.kubelet = new FakeKubelet(this.dir);
    this.resources = this.#start();
  }

  static async start(t: Test): Promise<PluginNode> {
    const node = new PluginNode(t);
    t.teardown(async () => {
      await node.resources.close();
      node.kubelet.stop();
    });
    await node.kubelet.start();
    return node;
  }

  /** Another agent, as after a kill: the sockets of the first are still there. */
  async replaceAgent(how: "killed" | "stopped"): Promise<void> {
    const old = this.resources;
    const sockets = readdirSync(this.dir).filter((name) => name.startsWith("railnet-"));
    await old.close();
    if (how === "killed") for (const name of sockets) leaveSocket(join(this.dir, name));
    this.resources = this.#start();
  }

  /** One look of the agent. */
  async look(): Promise<void> {
    const { here } = selectPfs(parseRails(this.rails), listPfFacts(this.tree.root));
    await this.resources.look(here, this.attached, this.owed, this.unfit, this.sets);
    await this.resources.register();
  }

  /** Looks, then waits until the kubelet has heard what it should. */
  async lookUntil(what: string, holds: () => boolean): Promise<void> {
    await this.look();
    await until(what, holds);
  }

  get vfs(): readonly string[] {
    return this.tree.vfs(PF);
  }

  info(vf: string): object {
    return JSON.parse(readFileSync(join(this.infoDir, `railnet.io-rail0-${vf}-device.json`), "utf8"));
  }

  #start(): Resources {
    return new Resources({
      directory: this.dir,
      deviceInfoDir: this.infoDir,
      sysfs: this.tree.root,
      runDir: this.runDir,
      rdma: {
        lock: async () => void this.promised.push("lock"),
        promise: (vf, devices) => void this.promised.push(`${vf} ${devices.join(" ")}`),
      },
      tenants: {
        governs: (resource) => this.tenants.governs(resource),
        whyNotStart: (ids, resource) => this.tenants.whyNotStart(ids, resource),
      },
      graceMs: 30_000,
      nowMs: () => this.nowMs,
      log: this.log,
    });
  }
}

/** What a killed process leaves: a socket that nobody listens on. */
export function leaveSocket(path: string): void {
  const script = `require("node:net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
  spawnSync(process.execPath, ["-e", script]);
}

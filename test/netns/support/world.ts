import { execFileSync } from "node:child_process";
import { chmodSync, linkSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { Agent } from "./agent.ts";
import { FakeIpam } from "./ipam.ts";
import { Netns, processesIn } from "./netns.ts";
import { type Ran, type Running, type RunOptions, start, until } from "./run.ts";
import { sweep, worldPrefix } from "./sweep.ts";
import { SysfsTree } from "./sysfs-tree.ts";

const project = resolve(import.meta.dirname, "../../..");
/** Where scripts/build.sh --test puts the executables with fault injection. */
const dist = process.env["RAILNET_TEST_DIST"] ?? join(project, "dist/test");

/** The two ways to make a call: with an agent, as on a node, and without. */
export type Via = "shim" | "alone";
export const WAYS: readonly Via[] = ["alone", "shim"];

export type Verb = "ADD" | "CHECK" | "DEL" | "GC" | "STATUS" | "VERSION";
type Json = Record<string, unknown>;

/** A VF, or what stands in for it. */
export interface Vf {
  readonly pci: string;
  readonly netdev: string;
  readonly rail: string;
}

/** What a runtime says of one attachment. */
export interface Attachment {
  readonly id: string;
  readonly netns: string;
  readonly ifname: string;
  readonly config: Json;
  readonly env?: Readonly<Record<string, string>>;
}

/** A call's answer. */
export interface Reply extends Ran {
  /** Standard output as JSON; undefined when there is none. */
  readonly json: Json | undefined;
}

export interface CallOptions extends Pick<RunOptions, "secondHalfAfterMs"> {
  /** Replaces the configuration as JSON. */
  readonly stdin?: string;
  /** Runs this instead of the executable, which comes as its last argument. */
  readonly wrap?: readonly string[];
}

export interface WorldOptions {
  /** VFs of each of the two rails. */
  readonly vfs?: number;
  /** For the environment of every executable and of the agent. */
  readonly env?: Readonly<Record<string, string>>;
  /** Milliseconds of the limits in cni/shim/limits.h; absent ones stay as in production. */
  readonly shimMs?: Readonly<Partial<Record<"ADD" | "OTHER" | "REFUSED", number>>>;
}

/**
 * A node of its own: a network namespace that is the host's for all that runs in it, a sysfs in which veth pairs are
 * the VFs of two rails, and every directory that Railnet uses.
 */
export class World {
  readonly dir = mkdtempSync(worldPrefix());
  readonly sysfs = new SysfsTree(join(this.dir, "sys"));
  readonly cniBin = this.#mkdir("bin");
  readonly stateDir = join(this.dir, "state");
  readonly runDir = join(this.dir, "run");
  readonly deviceInfoDir = this.#mkdir("devinfo");
  readonly podsDir = this.#mkdir("pods");
  readonly ipam = new FakeIpam(this.cniBin, join(this.dir, "ipam"));
  readonly faultFile = join(this.dir, "faults");
  readonly executable = join(this.#mkdir("opt"), "railnet");
  readonly vfs: readonly Vf[];
  /** A VF that vfio-pci drives. */
  readonly vfio = "0000:a0:1f.0";
  /** A PF without VFs, and its link. */
  readonly bare = { pci: "0000:f0:00.0", netdev: "bare" };
  /** A network card without SR-IOV. */
  readonly plain = "0000:f1:00.0";
  #host: Netns | undefined;
  #agent: Agent | undefined;
  #spare: Netns | undefined;
  #number = 0;
  readonly #pods: Netns[] = [];

  readonly #extra: Readonly<Record<string, string>>;

  private constructor({ vfs = 2, env = {}, shimMs = {} }: WorldOptions) {
    this.#extra = env;
    this.vfs = [0, 1].flatMap((rail) =>
      Array.from({ length: vfs }, (_, i) => ({
        pci: `0000:a${rail}:${(2 + (i >> 3)).toString(16).padStart(2, "0")}.${i & 7}`,
        netdev: `rail${rail}v${i}`,
        rail: `rail${rail}`,
      })),
    );
    for (const name of ["railnet", "railnet-sriov"]) linkSync(join(dist, "railnet"), join(this.dir, "opt", name));
    this.#buildShim(shimMs);
    this.#fillSysfs();
  }

  static async create(options: WorldOptions = {}): Promise<World> {
    sweep();
    const world = new World(options);
    world.#host = await Netns.create(join(world.dir, "host"));
    const links = ["rail0", "rail1", world.bare.netdev, ...world.vfs.map(({ netdev }) => netdev)];
    await world.host.batch([
      "link set lo up",
      ...links.flatMap((name) => [`link add ${name} type veth peer name ${name}p`, `link set ${name}p up`]),
      ...["rail0", "rail1", world.bare.netdev].map((name) => `link set ${name} up`),
    ]);
    return world;
  }

  get host(): Netns {
    return this.#host!;
  }

  /** For the environment of every executable. */
  get env(): Record<string, string> {
    return {
      RAILNET_SYSFS: this.sysfs.root,
      RAILNET_STATE_DIR: this.stateDir,
      RAILNET_RUN_DIR: this.runDir,
      RAILNET_CNI_CACHE_DIR: join(this.dir, "cache"),
      RAILNET_NETNS_DIR: this.podsDir,
      RAILNET_DEVICE_INFO_DIR: this.deviceInfoDir,
      RAILNET_FAULT_FILE: this.faultFile,
      ...this.#extra,
    };
  }

  /** A pod's network namespace. */
  async pod(name = `pod${this.#number++}`): Promise<Netns> {
    const pod = await Netns.create(join(this.podsDir, name));
    this.#pods.push(pod);
    return pod;
  }

  /** A pod for whatever comes between two tests. */
  async spare(): Promise<Netns> {
    this.#spare ??= await this.pod("spare");
    return this.#spare;
  }

  async removePod(pod: Netns): Promise<void> {
    if (!this.#pods.includes(pod)) return;
    this.#pods.splice(this.#pods.indexOf(pod), 1);
    await pod.remove();
  }

  /** An attachment of a container of its own; the first VF with an address unless `config` says otherwise. */
  attachment(pod: Pick<Netns, "path">, config: Json = {}, rest: Partial<Attachment> = {}): Attachment {
    return {
      id: `c${this.#number++}`,
      netns: pod.path,
      ifname: "net1",
      config: {
        cniVersion: "1.1.0",
        name: "rail0-net",
        type: "railnet-sriov",
        deviceID: this.vfs[0]!.pci,
        ipam: { type: this.ipam.name },
        ...config,
      },
      ...rest,
    };
  }

  /** Takes a VF out of the node that is in a pod as net1; the answer plugs it in again. */
  async unplug({ pci, netdev }: Vf, pod: Netns): Promise<() => Promise<void>> {
    const [port] = await this.host.show("link", "show", `${netdev}p`);
    const show = this.sysfs.hide(pci);
    const [link] = await pod.show("link", "show", "net1");
    const mark = String(link?.["ifalias"]).split(" ");
    await pod.batch(["link del net1"]);
    return async () => {
      show();
      const side = (l: Json | undefined, mac: unknown) => `index ${l?.["ifindex"]} address ${mac}`;
      await this.host.batch([
        `link add ${netdev} ${side(link, mark[3])} type veth peer name ${netdev}p ${side(port, port?.["address"])}`,
        `link set ${netdev}p up`,
      ]);
    };
  }

  /** Renames the link of a PF, in sysfs too. */
  async renamePf(from: string, to: string): Promise<void> {
    await this.host.batch([`link set ${from} down`, `link set ${from} name ${to}`, `link set ${to} up`]);
    const pci = ["0000:a0:00.0", "0000:a1:00.0"].find((pf) => this.sysfs.hasNetdev(pf, from))!;
    this.sysfs.removeNetdev(pci, from);
    this.sysfs.addNetdev(pci, to);
  }

  /** Makes one call as a runtime does. */
  call(
    via: Via,
    verb: Verb,
    { id, netns, ifname, config, env = {} }: Attachment,
    options: CallOptions = {},
  ): Running<Reply> {
    const { stdin = JSON.stringify(config), wrap = [], secondHalfAfterMs } = options;
    const executable = via === "shim" ? join(this.cniBin, "railnet-sriov") : join(this.dir, "opt/railnet-sriov");
    const cni = {
      CNI_COMMAND: verb,
      CNI_CONTAINERID: id,
      CNI_NETNS: netns,
      CNI_IFNAME: ifname,
      CNI_PATH: this.cniBin,
    };
    const running = start(...this.host.enter(...wrap, executable), {
      env: { ...this.env, ...cni, ...env },
      stdin,
      ...(secondHalfAfterMs !== undefined && { secondHalfAfterMs }),
    });
    return withReply(running);
  }

  /** Runs the command line. */
  railnet(...args: string[]): Running {
    return start(...this.host.enter(this.executable, ...args), { env: this.env });
  }

  /** Starts an agent beside what runs. */
  startAgent(port = 9808, env: Readonly<Record<string, string>> = {}): Agent {
    return Agent.start(this.host, this.executable, { ...this.env, ...env }, port);
  }

  /** The agent: started if none runs, ready. */
  async agent(): Promise<Agent> {
    if (!this.#agent || this.#agent.ended) this.#agent = this.startAgent();
    return this.#agent.ready();
  }

  /** Afterwards no agent runs; nor is one said to be installed, unless its socket is left, as a crash does. */
  async noAgent(socket?: "leave its socket"): Promise<void> {
    await this.#agent?.end("SIGKILL");
    this.#agent = undefined;
    if (!socket) rmSync(join(this.runDir, "agent.sock"), { force: true });
  }

  /** Another agent takes the place of the one that runs, or of one that crashed. */
  async restartAgent(): Promise<void> {
    await this.noAgent("leave its socket");
    await this.agent();
  }

  /** What a way needs: an agent, or none. */
  async use(via: Via): Promise<void> {
    if (via === "shim") await this.agent();
    else await this.noAgent();
  }

  /** From now on these happen: lines of cni/faults.ts, such as "add-moved kill". None: none. */
  faults(...lines: string[]): void {
    writeFileSync(this.faultFile, lines.join("\n"));
  }

  records(): string[] {
    return list(join(this.stateDir, "attachments"));
  }

  record(name = this.records()[0]!): Json {
    return JSON.parse(readFileSync(join(this.stateDir, "attachments", name), "utf8")) as Json;
  }

  /** Changes fields of a record behind the product's back. */
  editRecord(change: Json, name = this.records()[0]!): void {
    writeFileSync(join(this.stateDir, "attachments", name), JSON.stringify({ ...this.record(name), ...change }));
  }

  locks(): string[] {
    return list(join(this.runDir, "locks")).filter((name) => name !== "agent");
  }

  deviceInfos(): string[] {
    return list(this.deviceInfoDir);
  }

  /** Processes on this node and in its pods, without the agent. */
  processes(): string[] {
    return processesIn([this.host, ...this.#pods])
      .filter((pid) => pid !== this.#agent?.pid)
      .map((pid) => `${pid} ${commandOf(pid)}`);
  }

  /** Waits until nothing but the agent runs: what a killed caller left behind may go on for a moment. */
  quiet(): Promise<void> {
    return until("no process is left", () => this.processes().length === 0, 5_000);
  }

  async close(): Promise<void> {
    await this.noAgent();
    for (const process of this.processes()) globalThis.process.kill(Number(process.split(" ")[0]), "SIGKILL");
    await until("all processes of the world have ended", () => this.processes().length === 0);
    for (const pod of [...this.#pods]) await this.removePod(pod);
    await this.host.remove();
    rmSync(this.dir, { recursive: true });
  }

  #mkdir(name: string): string {
    const dir = join(this.dir, name);
    mkdirSync(dir);
    return dir;
  }

  #buildShim(ms: NonNullable<WorldOptions["shimMs"]>): void {
    const paths = { SOCKET: "run/agent.sock", EXEC_LOCK: "run/exec.lock", BINARY: "opt/railnet" };
    const macros = [
      ...Object.entries(paths).map(([key, path]) => `-DRAILNET_${key}="${join(this.dir, path)}"`),
      ...Object.entries(ms).map(([key, value]) => `-DRAILNET_${key}_MS=${value}`),
    ];
    execFileSync(join(project, "cni/shim/build.sh"), [this.cniBin, process.arch === "arm64" ? "aarch64" : "x86_64"], {
      env: { ...process.env, CFLAGS: macros.join(" ") },
    });
    linkSync(join(this.cniBin, "railnet-shim"), join(this.cniBin, "railnet-sriov"));
    mkdirSync(this.runDir);
    chmodSync(this.runDir, 0o700);
  }

  #fillSysfs(): void {
    for (const { pci, netdev } of this.vfs) this.sysfs.add({ pci, netdev, driver: "iavf" });
    this.sysfs.add({ pci: this.vfio, driver: "vfio-pci" });
    for (const rail of [0, 1]) {
      const pf = `0000:a${rail}:00.0`;
      const vfs = this.vfs.filter((vf) => vf.rail === `rail${rail}`).map(({ pci }) => pci);
      this.sysfs.add({ pci: pf, netdev: `rail${rail}`, driver: "ice" });
      this.sysfs.setVfs(pf, rail === 0 ? [...vfs, this.vfio] : vfs);
    }
    this.sysfs.add({ pci: this.bare.pci, netdev: this.bare.netdev, driver: "ice" });
    this.sysfs.setVfs(this.bare.pci, []);
    this.sysfs.add({ pci: this.plain, driver: "e1000" });
  }
}

function withReply(running: Running): Running<Reply> {
  const reply = running.then((ran) => ({ ...ran, json: ran.stdout ? (JSON.parse(ran.stdout) as Json) : undefined }));
  return Object.assign(reply, { pid: running.pid, kill: running.kill });
}

function list(dir: string): string[] {
  try {
    return readdirSync(dir).sort();
  } catch {
    return [];
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
  } catch {
    return "";
  }
}

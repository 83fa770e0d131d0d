import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "../until.ts";
import { Agent } from "./agent.ts";
import { type Attachment, type CallOptions, cniEnv, type Reply, type Verb, type Via, withReply } from "./call.ts";
import { fillSysfs, listVfs, plugIn, type Vf } from "./devices.ts";
import { addEth0, eth0Of } from "./eth0.ts";
import { installFull, installShim, type ShimLimits } from "./executables.ts";
import { FakeIpam } from "./ipam.ts";
import { Netns, processesIn } from "./netns.ts";
import { type Running, start } from "./run.ts";
import { sweep, worldPrefix } from "./sweep.ts";
import { SysfsTree } from "./sysfs-tree.ts";

type Json = Record<string, unknown>;

export interface WorldOptions {
  /** VFs of each of the two rails. */
  readonly vfs?: number;
  /** For the environment of every executable and of the agent. */
  readonly env?: Readonly<Record<string, string>>;
  readonly shimMs?: ShimLimits;
  /** What runs as the agent; default: the full executable. @returns its path. */
  readonly agent?: (world: World) => string;
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
  #host: Netns | undefined;
  #cluster: Netns | undefined;
  #agent: Agent | undefined;
  #spare: Netns | undefined;
  #number = 0;
  #podNumber = 1;
  readonly #pods: Netns[] = [];

  readonly #extra: Readonly<Record<string, string>>;
  readonly #agentCommand: string;

  private constructor({ vfs = 2, env = {}, shimMs = {}, agent }: WorldOptions) {
    this.#extra = env;
    this.vfs = listVfs(vfs);
    fillSysfs(this.sysfs, this.vfs);
    mkdirSync(this.runDir, { mode: 0o700 });
    installFull(join(this.dir, "opt"));
    installShim(this.dir, this.cniBin, shimMs);
    this.#agentCommand = agent?.(this) ?? this.executable;
  }

  static async create(options: WorldOptions = {}): Promise<World> {
    sweep();
    const world = new World(options);
    world.#host = await Netns.create(join(world.dir, "host"));
    world.#cluster = await Netns.create(join(world.dir, "cluster"));
    await plugIn(world.host, world.vfs);
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
      RAILNET_NODE_CONFIG: join(this.dir, "node.json"),
      ...this.#extra,
    };
  }

  /** A pod's network namespace, with an eth0 and routes of its own. */
  async pod(name = `pod${this.#number++}`): Promise<Netns> {
    const pod = await Netns.create(join(this.podsDir, name));
    await addEth0(pod, this.#cluster!, ++this.#podNumber);
    this.#pods.push(pod);
    return pod;
  }

  /** What each pod's own network is, by its path. */
  async podNetworks(): Promise<Json> {
    const pods = [...this.#pods];
    return Object.fromEntries(await Promise.all(pods.map(async (pod) => [pod.path, await eth0Of(pod)] as const)));
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

  /** Makes one call as a runtime does. */
  call(via: Via, verb: Verb, attachment: Attachment, options: CallOptions = {}): Running<Reply> {
    const { config, env = {} } = attachment;
    const { stdin = JSON.stringify(config), wrap = [], secondHalfAfterMs } = options;
    const executable = via === "shim" ? join(this.cniBin, "railnet-sriov") : join(this.dir, "opt/railnet-sriov");
    const running = start(...this.host.enter(...wrap, executable), {
      env: { ...this.env, ...cniEnv(verb, attachment, this.cniBin), ...env },
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
  startAgent(port = 9808, env: Readonly<Record<string, string>> = {}, args: readonly string[] = []): Agent {
    return Agent.start(this.host, this.#agentCommand, { ...this.env, ...env }, port, args);
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
    const lines = readFileSync(join(this.stateDir, "attachments", name), "utf8")
      .trim()
      .split("\n");
    return Object.assign({}, ...lines.map((line) => JSON.parse(line) as Json)) as Json;
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
    return until("no process is left", () => this.processes().length === 0);
  }

  async close(): Promise<void> {
    await this.noAgent();
    for (const process of this.processes()) globalThis.process.kill(Number(process.split(" ")[0]), "SIGKILL");
    await until("all processes of the world have ended", () => this.processes().length === 0);
    for (const pod of [...this.#pods]) await this.removePod(pod);
    await this.host.remove();
    await this.#cluster?.remove();
    rmSync(this.dir, { recursive: true });
  }

  #mkdir(name: string): string {
    const dir = join(this.dir, name);
    mkdirSync(dir);
    return dir;
  }
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

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Daemon } from "../cluster/daemon.ts";
import { must, type Ran, start } from "../netns/run.ts";
import { until } from "../until.ts";
import { inGroup, makeGroup, removeGroup } from "./cgroup.ts";
import type { Computer, Program } from "./computer.ts";
import { SERVICE_IP } from "./service-address.ts";

type Env = Readonly<Record<string, string>>;

const INIT = join(import.meta.dirname, "node-init.sh");
const PROJECT = realpathSync(join(import.meta.dirname, "../.."));
/** Directories and cgroups of nodes begin with this, followed by the process that created them. */
const PREFIX = "railnet-node-";
const NAMESPACES = ["--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup"];

/** A program on a node, with its whole output as log. */
export interface NodeProcess extends Program {
  /** By this machine's count. */
  readonly pid: number;
}

/**
 * A computer made of namespaces: mounts, processes, network, host name and cgroups of its own, above the machine's files
 * (see node-init.sh). Ends with the process that made it, however that ends. Needs root.
 */
export class Node implements Computer, AsyncDisposable {
  readonly name: string;
  /** Of a bridge: what `ping` and the cluster's network start from. */
  readonly ip = "192.168.250.1";
  readonly apiServer = `https://${SERVICE_IP}`;
  /** Of this machine: logs. */
  readonly folder = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`));
  readonly #group: string;
  readonly #unshare: Daemon;
  readonly #started: Daemon[] = [];
  #pid = 0;

  private constructor(name: string) {
    this.name = name;
    this.#group = this.folder.slice(dirname(this.folder).length + 1);
    makeGroup(this.#group);
    const shared = [...new Set([PROJECT, realpathSync(join(PROJECT, ".cache"))])];
    const unshare = ["unshare", ...NAMESPACES, "--fork", "--kill-child", INIT, this.folder, name, ...shared];
    this.#unshare = Daemon.start(inGroup(this.#group, unshare), join(this.folder, "init.log"));
  }

  static async start(name: string): Promise<Node> {
    sweep();
    const node = new Node(name);
    try {
      await until(`node ${name} is up`, () => node.#unshare.ended || existsSync(join(node.folder, "ready")));
      if (node.#unshare.ended) throw new Error(`node ${name} ended: ${node.#unshare.tail()}`);
      node.#pid = childOf(node.#unshare.pid);
    } catch (error) {
      await node.stop();
      throw error;
    }
    return node;
  }

  /** Its PID 1, as this machine counts. */
  get pid(): number {
    return this.#pid;
  }

  /** The path on this machine of a file on the node. */
  path(path: string): string {
    return `/proc/${this.#pid}/root${path}`;
  }

  /** Writes a file of the node in one step, its folders too. */
  write(path: string, text: string, mode = 0o644): void {
    const place = this.path(path);
    mkdirSync(dirname(place), { recursive: true });
    const temporary = join(dirname(place), `.new-${dirname(place).length}`);
    writeFileSync(temporary, text, { mode });
    renameSync(temporary, place);
  }

  /** Runs a command on the node. @throws {Error} with its standard error when it fails. */
  exec(command: readonly string[], env: Env = {}): Promise<string> {
    return must(...this.#enter(command), { env });
  }

  /** As exec(), but every end is an answer. */
  run(command: readonly string[], options: { env?: Env; stdin?: string } = {}): Promise<Ran> {
    return start(...this.#enter(command), options);
  }

  /** Starts a program; its output goes to `NAME.log` of the node's folder. */
  async spawn(name: string, command: readonly string[], env: Env = {}): Promise<NodeProcess> {
    const log = join(this.folder, `${name}.log`);
    const daemon = Daemon.start(inGroup(this.#group, this.#enter(command).flat()), log, env);
    this.#started.push(daemon);
    const read = () => readFileSync(log, "utf8");
    // nsenter(1) waits for the program, its child.
    await until(`${name} runs`, () => daemon.ended || childOf(daemon.pid) > 0);
    const pid = daemon.ended ? 0 : childOf(daemon.pid);
    const signal = (signal: NodeJS.Signals) => void (!daemon.ended && process.kill(pid, signal));
    return {
      pid,
      get ended() {
        return daemon.ended;
      },
      log: read,
      signal,
      async stop(how: NodeJS.Signals = "SIGTERM") {
        signal(how);
        await until(`${name} has ended`, () => daemon.ended);
      },
    };
  }

  /** Power off: every process ends at once, nothing more is written. */
  async stop(): Promise<void> {
    await this.#unshare.stop("SIGKILL");
    const isOver = () => this.#started.every(({ ended }) => ended) && removeGroup(this.#group);
    await until(`no process of ${this.name} is left`, isOver);
    rmSync(this.folder, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #enter(command: readonly string[]): [string, string[]] {
    return ["nsenter", [`--target=${this.#pid}`, ...NAMESPACES, "--wd=/", ...command]];
  }
}

function childOf(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ")[0]);
  } catch {
    return 0; // it just ended
  }
}

/** Removes what was left by test processes that were killed before they could clean up. */
function sweep(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = name.startsWith(PREFIX) ? name.slice(PREFIX.length).split("-")[0] : undefined;
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    removeGroup(name);
    rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
}

import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { copyFile, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Command, Reply } from "./channel.ts";
import { ChannelPool } from "./channel-pool.ts";
import { hasLostTimer } from "./lost-timer.ts";
import {
  type Accelerator,
  CHANNELS,
  channelPath,
  chooseAccelerator,
  type Link,
  type MachineSpec,
  qemuArguments,
} from "./qemu.ts";
import { humanMonitor } from "./qmp.ts";

export interface MachineOptions {
  /** Unique on this host and checkout. */
  readonly name: string;
  /** 0 or 1 on a `stream` cable; default 0. */
  readonly index?: number;
  /** Default `hub`. */
  readonly link?: Link;
  /** Default `lab`. */
  readonly cable?: string;
  /** VFs a rail (at most 7); then rails and VFs are named and addressed by node.sh. Absent: NICs are left as the kernel made them. */
  readonly vfs?: number;
  readonly mtuBytes?: number;
  /** vfio-pci can then bind VFs. Default false. */
  readonly iommu?: boolean;
  /** Default false. */
  readonly primary?: boolean;
  /** A NIC `host0`, 10.0.2.15/24, on which 10.0.2.2 is the host's loopback. Default false. */
  readonly hostPorts?: boolean;
  /** Raw image of a disk, /dev/vda, which outlives the machine. Default: none. */
  readonly disk?: string;
  /** Default 1024; at most 2815. */
  readonly memoryMiB?: number;
  /** Default 2, for races; under TCG waking the second one costs 8 % more than it gives. */
  readonly cpus?: number;
  readonly append?: string;
  /** The machine ends with this process unless true; then `stop()` or its time limit ends it. Default false. */
  readonly outlives?: boolean;
  /** Default 3600. */
  readonly limitSeconds?: number;
}

/**
 * A guest with four emulated SR-IOV NICs (82576, `igb`), driven by commands. Its root is the host's root, read-only, with
 * a tmpfs on top; what the guest has once read of a host file is cached: bring changed files by `push`.
 */
export class Machine implements AsyncDisposable {
  readonly name: string;
  readonly #state: string;
  readonly #pool: ChannelPool;
  #watch: NodeJS.Timeout | undefined;

  private constructor(name: string) {
    this.name = name;
    this.#state = join(stateRoot(), name);
    this.#pool = new ChannelPool(Array.from({ length: CHANNELS }, (_, i) => channelPath(this.#state, i)));
  }

  /** Boots a machine and waits until it takes commands (and, with `vfs`, its rails are set up). */
  static async start(options: MachineOptions): Promise<Machine> {
    const machine = new Machine(options.name);
    const accelerator = chooseAccelerator(process.env["RAILNET_VM_ACCEL"]);
    try {
      await machine.#boot(options, accelerator);
    } catch (error) {
      if (accelerator === "tcg" || process.env["RAILNET_VM_ACCEL"]) throw error;
      await machine.#boot(options, "tcg"); // a KVM that is there and does not work
    }
    if (options.vfs !== undefined) await machine.#setUpRails(options);
    return machine;
  }

  /** A machine that runs already (started by any process with `outlives`, or by this one). */
  static attach(name: string): Machine {
    const machine = new Machine(name);
    if (!machine.isRunning) throw new Error(`cannot attach to machine ${name}: not running (ESRCH)`);
    return machine;
  }

  static isRunning(name: string): boolean {
    return new Machine(name).isRunning;
  }

  get isRunning(): boolean {
    return runningPid(this.#state) !== undefined;
  }

  /** Runs a program; resolves whatever its exit status. Several may run at once (as many as there are channels, more wait). */
  exec(argv: readonly string[], options: Omit<Command, "argv"> = {}): Promise<Reply> {
    return this.#pool.run({ argv, ...options });
  }

  /** Runs shell text by bash in one go: the way to do many small things in one round trip. */
  sh(text: string, options: Omit<Command, "argv"> = {}): Promise<Reply> {
    return this.exec(["bash", "-c", text], options);
  }

  /** What shell text prints; rejects with its standard error unless it exits with 0. */
  async ask(text: string, options: Omit<Command, "argv"> = {}): Promise<string> {
    const { exit, stdout, stderr } = await this.sh(text, options);
    if (exit !== 0)
      throw new Error(`cannot run "${text}" on ${this.name}: ${stderr.trim() || stdout.trim()} (exit ${exit})`);
    return stdout;
  }

  /** Copies a file of the host into the guest's memory, executable. */
  async push(hostFile: string, guestPath: string): Promise<void> {
    const passing = `push.${process.pid}.${pushes++}`;
    await copyFile(hostFile, join(this.#state, "x", passing));
    try {
      const { exit, stderr } = await this.exec(["bash", "-c", TAKE_IN, "push", `/x/${passing}`, guestPath]);
      if (exit !== 0) throw new Error(`cannot push ${hostFile} to ${this.name}: ${stderr.trim()} (exit ${exit})`);
    } finally {
      await rm(join(this.#state, "x", passing), { force: true });
    }
  }

  /** A command of QEMU's human monitor, such as `set_link rail0 off`, and what it prints. */
  monitor(command: string): Promise<string> {
    return humanMonitor(join(this.#state, "qmp"), command);
  }

  /** What the guest's kernel and init have printed. */
  console(): string {
    return readFileSync(join(this.#state, "console.log"), "utf8");
  }

  async stop(): Promise<void> {
    clearInterval(this.#watch);
    this.#pool.close();
    if (!this.isRunning) return;
    await this.monitor("quit").catch(() => {}); // it ends before it answers
    for (let turn = 0; turn < STOP_TURNS && this.isRunning; turn++) await sleep(STOP_TURN_MS);
    const pid = runningPid(this.#state);
    if (pid !== undefined) process.kill(pid, "SIGKILL");
  }

  /** Power cut: nothing in the guest learns of it, and what it has not written to its disk is lost. */
  async cutPower(): Promise<void> {
    clearInterval(this.#watch);
    this.#pool.close();
    const pid = runningPid(this.#state);
    if (pid !== undefined) process.kill(pid, "SIGKILL");
    for (let turn = 0; turn < STOP_TURNS && this.isRunning; turn++) await sleep(STOP_TURN_MS);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #boot(options: MachineOptions, accelerator: Accelerator): Promise<void> {
    if (this.isRunning) throw new Error(`cannot start machine ${this.name}: it runs already (EEXIST)`);
    const child = launch(options, this.#state, accelerator);
    const ended = new Promise<never>((_, reject) => {
      child.once("exit", (code, signal) => {
        const says = readFileSync(join(this.#state, "qemu.log"), "utf8").trim();
        reject(new Error(`cannot boot machine ${this.name}: QEMU ended: ${says || signal} (exit ${code})`));
      });
    });
    ended.catch(() => {});
    const timeoutMs = BOOT_TIMEOUT_MS[accelerator];
    try {
      while (!existsSync(join(this.#state, "qmp"))) await Promise.race([ended, sleep(QEMU_POLL_MS)]);
      await Promise.race([ended, this.#pool.run({ argv: ["true"] }, timeoutMs)]);
    } catch (error) {
      await Promise.race([ended, sleep(LAST_WORDS_MS)]); // why QEMU ended says more than that its channel closed
      await this.stop();
      throw error;
    }
    this.#watch = setInterval(() => this.#endIfLost(), WATCH_MS).unref();
  }

  /** What runs on it fails then, at once and not after its own limit. */
  #endIfLost(): void {
    if (!hasLostTimer(this.console())) return;
    console.error(
      `machine ${this.name}: a processor of the guest takes no timer interrupts any more: ended; run it again`,
    );
    void this.cutPower();
  }

  async #setUpRails({ vfs, index = 0, mtuBytes = 1500 }: MachineOptions): Promise<void> {
    const env = { NODE: `${index + 1}`, VFS: `${vfs}`, MTU: `${mtuBytes}` };
    const { exit, stderr } = await this.exec(["bash", "-s"], { stdin: readFileSync(NODE_SCRIPT), env });
    if (exit === 0) return;
    await this.stop();
    throw new Error(`cannot set up the rails of ${this.name}: ${stderr.trim()} (exit ${exit})`);
  }
}

const PROJECT = resolve(import.meta.dirname, "../..");
const IMAGES = join(PROJECT, ".cache/vm");
const NODE_SCRIPT = join(import.meta.dirname, "node.sh");
// biome-ignore lint/suspicious/noTemplateCurlyInString: it is the shell's
const TAKE_IN = 'set -e; mkdir -p "${2%/*}"; cp "$1" "$2.new"; chmod 755 "$2.new"; mv "$2.new" "$2"';
const BOOT_TIMEOUT_MS = { kvm: 30_000, tcg: 600_000 };
const QEMU_POLL_MS = 10;
const LAST_WORDS_MS = 500;
const WATCH_MS = 5000;
const STOP_TURNS = 150;
const STOP_TURN_MS = 20;
/** Of sockaddr_un.sun_path, less the longest name of a socket in a machine's folder. */
const MAX_STATE_PATH = 107 - "/qmp".length;
let pushes = 0;

/** One name for it, whatever links lead there: checkouts may share a cache, and a machine that runs must be seen from each. */
export function stateRoot(): string {
  const root = process.env["RAILNET_VM_STATE"] ?? join(IMAGES, "run");
  mkdirSync(root, { recursive: true });
  return realpathSync(root);
}

/** Starts QEMU in the background, bound to this process unless it `outlives` it, and to its time limit in any case. */
function launch(options: MachineOptions, state: string, accelerator: Accelerator): ChildProcess {
  if (!existsSync(join(IMAGES, "initramfs.gz")))
    throw new Error(`cannot start machine ${options.name}: no kernel in ${IMAGES}; run scripts/setup.sh vm (ENOENT)`);
  if (state.length > MAX_STATE_PATH)
    throw new Error(
      `cannot start machine ${options.name}: ${state} is too long for sockets; set RAILNET_VM_STATE (ENAMETOOLONG)`,
    );
  rmSync(state, { recursive: true, force: true });
  mkdirSync(join(state, "x"), { recursive: true });
  const images = realpathSync(IMAGES); // the guest looks for its modules there, and follows no link of the host
  const qemu = qemuArguments(withDefaults(options), { images, state, cables: dirname(state) }, accelerator);
  const limit = [
    "timeout",
    "-k",
    "5",
    `${options.limitSeconds ?? 3600}`,
    "qemu-system-x86_64",
    ...qemu,
    "-pidfile",
    join(state, "pid"),
  ];
  const [program, ...args] = options.outlives ? limit : ["setpriv", "--pdeathsig", "TERM", ...limit];
  const log = openSync(join(state, "qemu.log"), "w");
  const child = spawn(program!, args, { stdio: ["ignore", log, log], detached: true });
  closeSync(log);
  child.unref();
  return child;
}

function withDefaults(o: MachineOptions): MachineSpec {
  const { name, index = 0, link = "hub", cable = "lab", iommu = false, primary = false, hostPorts = false } = o;
  return {
    name,
    index,
    link,
    cable,
    iommu,
    primary,
    hostPorts,
    memoryMiB: o.memoryMiB ?? 1024,
    cpus: o.cpus ?? 2,
    append: o.append ?? "",
    ...(o.disk !== undefined && { disk: o.disk }),
  };
}

/** The process that runs the machine of this folder; undefined when there is none. */
function runningPid(state: string): number | undefined {
  try {
    const pid = readFileSync(join(state, "pid"), "utf8").trim();
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`${state}/`) ? Number(pid) : undefined;
  } catch {
    return undefined;
  }
}

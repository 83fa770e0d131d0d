import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { Machine, type MachineOptions } from "../../../../lab/vm/machine.ts";
import { cniCall, type Wanted } from "./attachment.ts";

/** One VF of the node, as it was after boot. */
export interface Vf {
  readonly rail: number;
  readonly index: number;
  /** Its name in the host's namespace, `rail2v0`. */
  readonly name: string;
  readonly pci: string;
  readonly mac: string;
  readonly pf: string;
  readonly pfPci: string;
}

/** Which executable a runtime would find: the shim, with an agent behind it, or the whole plugin. */
export type How = "shim" | "stand-alone";
export const HOWS: readonly How[] = ["shim", "stand-alone"];

/** One CNI call as the runtime makes it. */
export interface CniCall {
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
}

/** What came back: `json` is the parsed standard output, the text itself when it is no JSON. */
export interface CniReply {
  readonly exit: number;
  // biome-ignore lint/suspicious/noExplicitAny: a result or an error, whatever the plugin printed
  readonly json: any;
  readonly stderr: string;
}

const ETH0 = readFileSync(join(import.meta.dirname, "eth0.sh"), "utf8");
const PROJECT = resolve(import.meta.dirname, "../../../..");
/** The executables under test; railnet is the build with fault injection. */
const DIST = process.env["RAILNET_DIST"] ?? join(PROJECT, "dist");
const PEERS = join(PROJECT, ".cache/peers/bin");

const PLUGIN: Record<How, string> = {
  shim: "/opt/cni/bin/railnet-sriov",
  "stand-alone": "/opt/railnet/bin/railnet-sriov",
};

/** Where IPAM plugins are on the node. */
export const IPAM_DIR = "/tmp/bin";

/** A test build's faults, one `STEP ACTION` a line. */
export const FAULT_FILE = "/run/faults";

/** Nothing in the tests waits for the timer. */
const RECONCILE_SECONDS = 3600;

/** A machine with Railnet installed as on a node, its VFs known and at rest. */
export class Node implements AsyncDisposable {
  readonly machine: Machine;
  #vfs: readonly Vf[];

  private constructor(machine: Machine, vfs: readonly Vf[]) {
    this.machine = machine;
    this.#vfs = vfs;
  }

  static async start(options: MachineOptions & { vfs: number }): Promise<Node> {
    const machine = await Machine.start({ memoryMiB: 1536, ...options });
    await install(machine);
    return new Node(machine, await restVfs(machine));
  }

  /** What shell text prints. `ip netns add` makes pods: with an eth0 and routes of their own. */
  ask(text: string): Promise<string> {
    return this.machine.ask(text.includes("netns add") ? `${ETH0}\n${text}` : text);
  }

  /** What `ip -j` prints, without what changes by itself: the carrier and duplicate address detection. */
  async steady(text: string): Promise<string> {
    return (await this.ask(text)).replaceAll(
      /,"(optimistic|tentative)":true|,"LOWER_UP"|"NO-CARRIER",|"operstate":"\w+",/g,
      "",
    );
  }

  get vfs(): readonly Vf[] {
    return this.#vfs;
  }

  vf(rail: number, index: number): Vf {
    return this.vfs.find((vf) => vf.rail === rail && vf.index === index)!;
  }

  /** @param faulty stand-alone only: the faults of FAULT_FILE happen. (The agent reads them always.) */
  async cni(how: How, { env, stdin }: CniCall, { faulty = false, timeoutMs = 60_000 } = {}): Promise<CniReply> {
    const all = faulty ? { ...env, RAILNET_FAULT_FILE: FAULT_FILE } : { ...env };
    const { exit, stdout, stderr } = await this.machine.exec([PLUGIN[how]], { env: all, stdin, timeoutMs });
    return { exit, json: parse(stdout), stderr };
  }

  /**
   * Starts the agent and waits until it serves. Idempotent.
   *
   * @param watches false: it looks where no namespace ever ends, and so puts nothing right by itself later.
   */
  async startAgent({ watches = false } = {}): Promise<void> {
    await this.ask(`
      pid=$(cat /run/agent.pid 2> /dev/null || true); [ -z "$pid" ] || [ ! -e "/proc/$pid" ] || exit 0
      rm -f /tmp/agent.log
      ${watches ? "" : "export RAILNET_NETNS_DIR=/run/nothing"}
      RAILNET_FAULT_FILE=${FAULT_FILE} setsid /opt/railnet/bin/railnet agent --health '' --metrics '' --reconcile-seconds ${RECONCILE_SECONDS} \\
        > /tmp/agent.log 2>&1 < /dev/null &
      echo $! > /run/agent.pid
      for ((i = 0; i < 600; i++)); do
        [[ ! -e /tmp/agent.log || $(< /tmp/agent.log) != *'"agent ready"'* ]] || exit 0
        [ -e /proc/$! ] || break; sleep 0.05
      done
      cat /tmp/agent.log >&2; exit 1`);
  }

  /** Ends it at once, if it still runs; its socket goes too, so that shims do not wait for it to come back. */
  async killAgent(): Promise<void> {
    await this.ask(`
      pid=$(cat /run/agent.pid 2> /dev/null || true); rm -f /run/agent.pid /run/railnet/agent.sock
      [ -z "$pid" ] || kill -9 "$pid" 2> /dev/null || true
      while [ -n "$pid" ] && [ -e "/proc/$pid" ]; do sleep 0.02; done`);
  }

  setFaults(...lines: string[]): Promise<string> {
    return this.ask(`printf '%s\\n' '${lines.join("' '")}' > ${FAULT_FILE}`);
  }

  /** `railnet reconcile`: what it says it did. */
  reconcile(): Promise<string> {
    return this.ask("/opt/railnet/bin/railnet reconcile");
  }

  /** Makes the VFs of a rail anew, as a reboot does: with other MACs, and nothing set. */
  async remakeVfs(rail: number): Promise<void> {
    const count = this.#vfs.filter((vf) => vf.rail === rail).length;
    await this.ask(`
      cd /sys/class/net/rail${rail}/device; echo 0 > sriov_numvfs; echo ${count} > sriov_numvfs
      for ((v = 0; v < ${count}; v++)); do
        for ((i = 0; i < 250; i++)); do now=$(ls virtfn$v/net 2> /dev/null) && [ -n "$now" ] && break; sleep 0.02; done
        ip link set "$now" down; ip link set "$now" name rail${rail}v$v
      done`);
    this.#vfs = await restVfs(this.machine);
  }

  /** Gives a VF that was bound anew the MAC that it had after boot, in the way it came to it then. */
  async restoreMac({ name, mac, pf, index }: Vf): Promise<void> {
    await this.ask(`
      ip link set ${pf} vf ${index} trust on; ip link set ${name} address ${mac}; ip link set ${pf} vf ${index} trust off
      ip link set ${name} up; for ((i = 0; i < 100; i++)); do [ "$(< /sys/class/net/${name}/operstate)" != up ] || break; sleep 0.05; done
      ip link set ${name} down`);
  }

  /** Files that remember attachments. */
  async journal(): Promise<string[]> {
    return (await this.ask("ls /var/lib/railnet/attachments 2> /dev/null || true")).split("\n").filter(Boolean);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.machine.stop();
  }
}

/** Many calls of the shim at once; in the order of the attachments. */
export const shim = (node: Node, verb: string, wanted: readonly Wanted[]): Promise<CniReply[]> =>
  Promise.all(wanted.map((w) => node.cni("shim", cniCall(verb, w))));

export const failures = (replies: readonly CniReply[]): CniReply[] => replies.filter(({ exit }) => exit !== 0);

/** 0 for success, else the error's code. */
export const codes = (...replies: readonly CniReply[]): unknown[] =>
  replies.map(({ exit, json }) => (exit === 0 ? 0 : (json.code ?? json)));

async function install(machine: Machine): Promise<void> {
  const railnet = join(DIST, "test/railnet");
  for (const file of [railnet, join(DIST, "railnet-shim"), join(PEERS, "host-local")])
    if (!existsSync(file)) throw new Error(`cannot install on the machine: no ${file}; run npm test once (ENOENT)`);
  await Promise.all([
    machine.push(railnet, "/opt/railnet/bin/railnet"),
    machine.push(join(DIST, "railnet-shim"), PLUGIN.shim),
    ...["static", "host-local", "rdma"].map((name) => machine.push(join(PEERS, name), `${IPAM_DIR}/${name}`)),
  ]);
  await machine.ask(`ln -f /opt/railnet/bin/railnet ${PLUGIN["stand-alone"]}`);
}

/** Every VF up and down once: only then does igb show a VF's own MAC at the PF, and keep showing it. */
async function restVfs(machine: Machine): Promise<Vf[]> {
  const links = JSON.parse(
    await machine.ask(`
      names=$(cd /sys/class/net; echo rail?v?)
      for n in $names; do echo "link set $n up"; done | ip -batch -
      for n in $names; do for ((i = 0; i < 100; i++)); do [ "$(< /sys/class/net/$n/operstate)" != up ] || break; sleep 0.05; done; done
      for n in $names; do echo "link set $n down"; done | ip -batch -
      ip -j -d link`),
  ) as { ifname: string; address: string; parentdev?: string }[];
  const pciOf = (name: string) => links.find((l) => l.ifname === name)!.parentdev!;
  return links.flatMap(({ ifname: name, address: mac, parentdev }) => {
    const [, rail, index] = /^rail(\d)v(\d)$/.exec(name) ?? [];
    if (!rail) return [];
    const pf = `rail${rail}`;
    return [{ rail: Number(rail), index: Number(index), name, pci: parentdev!, mac, pf, pfPci: pciOf(pf) }];
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

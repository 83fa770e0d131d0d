import { execFileSync, spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { text } from "node:stream/consumers";

const project = resolve(import.meta.dirname, "../../..");
const GOLDEN = join(project, "test/bench/perftest");
const ENDS = ["a", "b"] as const;
/** What there is in the pods' image besides perftest. */
const TOOLS = ["sh", "ip", "cat", "grep", "sleep", "iperf3"];
type End = (typeof ENDS)[number];

/** An RDMA device as sysfs shows it. */
export interface Device {
  readonly name: string;
  readonly link: string;
  readonly address: string;
}

export interface Outcome {
  readonly exit: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Two pods without a cluster: namespaces joined by two rails, a `kubectl` that runs commands in them as the real one does
 * (they outlive it; their standard input ends with its own), and a perftest that prints recorded output.
 */
export class FakePods implements Disposable {
  readonly #dir: string;
  readonly #prefix = `rdma-${process.pid}`;

  constructor(dir: string) {
    this.#dir = dir;
    for (const sub of ["bin", "pod-bin", "sys/a", "sys/b", "rates"]) mkdirSync(join(dir, sub), { recursive: true });
    this.#program("bin/kubectl", KUBECTL);
    for (const program of ["ib_write_bw", "ib_write_lat"]) this.#program(`pod-bin/${program}`, PERFTEST);
    for (const tool of TOOLS) sh(`ln -s "$(command -v ${tool})" "${join(dir, "pod-bin")}"`);
    sh(ENDS.map((end) => `ip netns add ${this.netns(end)}; ip -n ${this.netns(end)} link set lo up`).join("\n"));
    for (const rail of [0, 1]) {
      const [a, b] = ENDS.map((end) => `name net${rail + 1} netns ${this.netns(end)}`);
      sh(`ip link add ${a} type veth peer ${b}`);
      for (const [i, end] of ENDS.entries())
        sh(`ip -n ${this.netns(end)} addr add 192.168.${rail}.${11 + i}/24 dev net${rail + 1}
            ip -n ${this.netns(end)} link set net${rail + 1} up`);
    }
    for (const end of ENDS) this.setNetworks(end, ["rail0", "rail1"]);
  }

  /** Where the bench leaves its rows. */
  get json(): string {
    return join(this.#dir, "rdma.json");
  }

  netns(end: End): string {
    return `${this.#prefix}-${end}`;
  }

  /** What Multus would have written. */
  setNetworks(end: End, rails: readonly string[]): void {
    const own = { name: "cluster", interface: "eth0", default: true };
    const status = [own, ...rails.map((rail, i) => ({ name: `default/${rail}`, interface: `net${i + 1}` }))];
    const annotations = { "k8s.v1.cni.cncf.io/network-status": JSON.stringify(status) };
    writeFileSync(join(this.#dir, `${end}.json`), JSON.stringify({ metadata: { annotations } }));
  }

  /** A RoCE v1 entry at index 2, the v2 one at 3, as mlx5 has them. */
  addDevice(end: End, { name, link, address }: Device): void {
    const gid = `0000:0000:0000:0000:0000:ffff:${address.split(".").map(hex).join("").replace(/^..../, "$&:")}`;
    const port = join(this.#dir, `sys/${end}/infiniband/${name}/ports/1`);
    for (const sub of ["gids", "gid_attrs/types", "gid_attrs/ndevs"]) mkdirSync(join(port, sub), { recursive: true });
    for (const [index, type] of [
      ["2", "IB/RoCE v1"],
      ["3", "RoCE v2"],
    ] as const) {
      // biome-ignore format: pairs
      writeFileSync(join(port, "gids", index), `${gid}\n`);
      writeFileSync(join(port, "gid_attrs/types", index), `${type}\n`);
      writeFileSync(join(port, "gid_attrs/ndevs", index), `${link}\n`);
    }
    this.setRate(name, "196.43");
  }

  /** What a client that sends from this device reports; `hang`: it never ends; `fail`: its server fails. */
  setRate(device: string, rate: string): void {
    writeFileSync(join(this.#dir, "rates", device), rate);
  }

  removeProgram(name: string): void {
    rmSync(join(this.#dir, "pod-bin", name));
  }

  /** Every call of the fake perftest so far, a line each. */
  calls(): string[] {
    const log = join(this.#dir, "calls");
    return existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : [];
  }

  /** Processes in both namespaces, by the kernel. */
  processes(): string {
    return ENDS.map((end) => execFileSync("ip", ["netns", "pids", this.netns(end)], { encoding: "utf8" })).join("");
  }

  networkStatus(end: End): string {
    const { metadata } = JSON.parse(readFileSync(join(this.#dir, `${end}.json`), "utf8"));
    return metadata.annotations["k8s.v1.cni.cncf.io/network-status"];
  }

  /** A command of a pod, and its environment. */
  enter(end: End, command: readonly string[]): readonly [string[], NodeJS.ProcessEnv] {
    const env = { ...process.env, FAKE: this.#dir, GOLDEN, PREFIX: this.#prefix };
    return [[join(this.#dir, "bin/kubectl"), "exec", "-i", end, "-n", "default", "--", ...command], env];
  }

  start(args: readonly string[]) {
    const argv = [join(project, "bench/rdma/run.ts"), "--pods=default/a,default/b", `--json=${this.json}`, ...args];
    const env = { ...process.env, PATH: `${join(this.#dir, "bin")}:${process.env["PATH"]}`, FAKE: this.#dir, GOLDEN };
    const bench = spawn(process.execPath, argv, {
      env: { ...env, PREFIX: this.#prefix },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const exited = new Promise<number | null>((resolve) => bench.once("close", (code) => resolve(code)));
    const outcome = Promise.all([exited, text(bench.stdout), text(bench.stderr)]).then(
      ([exit, stdout, stderr]): Outcome => ({ exit, stdout, stderr }),
    );
    return { bench, outcome };
  }

  run(...args: string[]): Promise<Outcome> {
    return this.start(args).outcome;
  }

  [Symbol.dispose](): void {
    for (const pid of this.processes().split("\n").filter(Boolean)) spawnSync("kill", ["-9", pid]);
    for (const end of ENDS) spawnSync("ip", ["netns", "del", this.netns(end)]);
  }

  #program(path: string, content: string): void {
    writeFileSync(join(this.#dir, path), content);
    chmodSync(join(this.#dir, path), 0o755);
  }
}

const sh = (script: string) => execFileSync("bash", ["-ec", script]);
const hex = (byte: string) => Number(byte).toString(16).padStart(2, "0");

/** `get pod NAME …`, `exec -i NAME -n NAMESPACE -- COMMAND…` */
const KUBECTL = `#!/bin/bash
case $1 in
  get) exec cat "$FAKE/$3.json" ;;
  exec) pod=$3; shift 6 ;;
esac
setsid ip netns exec "$PREFIX-$pod" bash -c '
  mount -t tmpfs fake /sys/class; cp -r "$FAKE/sys/$0/." /sys/class/
  PATH=$FAKE/pod-bin exec "$@"' "$pod" "$@" <&0 & remote=$!
wait $remote; status=$?
[ $status = 0 ] || echo "command terminated with exit code $status" >&2
exit $status
`;

const PERFTEST = `#!/usr/bin/python3 -IS
import os, socket, sys, time
fake, name, args = os.environ["FAKE"], os.path.basename(sys.argv[0]), sys.argv[1:]
if args == ["--version"]: sys.exit(print("Version: 6.06"))
value = lambda option: args[args.index(option) + 1]
with open(fake + "/calls", "a") as log: print(name, *args, file=log)
port, is_client = int(value("-p")), args[-1].count(".") == 3
rate = open(fake + "/rates/" + value("-d")).read()
if is_client:
    peer = socket.create_connection((args[-1], port))
    peer.sendall(rate.encode())
else:
    with socket.create_server(("", port)) as listener: peer, _ = listener.accept()
    rate = peer.recv(100).decode()
if rate == "hang": time.sleep(1e6)
if rate == "fail" and not is_client: sys.exit(" Couldn't connect to the QP")
if rate == "fail": time.sleep(1e6)
golden = "24.07-latency" if name == "ib_write_lat" else "24.07-bandwidth-gbits"
print(open(os.environ["GOLDEN"] + "/" + golden + ".txt").read().replace("196.43", rate), end="")
`;

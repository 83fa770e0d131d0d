import { request } from "node:http";
import { release, uptime } from "node:os";
import { join } from "node:path";
import type { Host, Paths } from "../../cni/host.ts";
import { onHost } from "../../cni/host-root.ts";
import { listPfsWithVfs, type PfWithVfs } from "../../daemonset/inventory/vfs.ts";
import { VERSION } from "../../daemonset/version.ts";
import type { NodePolicy } from "../../ipam/host.ts";
import { findingsOf } from "../doctor.ts";
import { gatherStatus } from "../status/gather.ts";
import type { NodeStatus } from "../status/node-status.ts";
import { reportStatus } from "../status/report.ts";
import type { Item } from "./collect.ts";
import { fileItem, ifThere, listing, namesIn, newestOf, smallFile } from "./files.ts";
import { HostCommands } from "./host-command.ts";
import { environmentText } from "./secrets.ts";
import { sysfsItem } from "./sysfs.ts";

export interface NodeOptions {
  readonly host: Host;
  readonly policy: NodePolicy;
  readonly configDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Limit per file, from its end. */
  readonly bytes: number;
}

/** Everything collected on a node, most important first. */
export function* nodeItems(options: NodeOptions): Generator<Item> {
  const { host, bytes } = options;
  const { paths } = host;
  const commands = new HostCommands(paths.hostRoot);
  let known: NodeStatus | undefined;
  const status = async () => (known ??= await gatherStatus(options));
  yield { path: "versions.json", read: async () => JSON.stringify(versions(host)) };
  yield { path: "environment.txt", read: async () => environmentText(options.env) };
  yield { path: "railnet/status.json", read: async () => JSON.stringify(await status()) };
  yield { path: "railnet/status.txt", read: async () => reportStatus(await status(), Date.now()) };
  yield {
    path: "railnet/doctor.json",
    read: async () => JSON.stringify(await findingsOf({ ...options, paths, status: await status() })),
  };
  yield { path: "railnet/metrics.txt", read: (signal) => metrics(join(paths.runDir, "health.sock"), signal) };
  yield agentProcess(status);
  yield* settings(options);
  yield* journal(paths, bytes);
  yield* logs(paths, bytes, commands);
  yield* network(commands);
  const pfs = pfsOf(paths);
  yield sysfsItem("sysfs/rails.txt", paths.sysfs, () =>
    pfs.flatMap(({ pci, vfs }) => [pci, ...vfs.map((vf) => vf.pci)]),
  );
  for (const { name, pci } of pfs) yield* device(name, pci, commands);
  yield* programs(paths, commands);
}

/** Everything that has VFs or could have some, even without a status. */
function pfsOf({ sysfs }: Paths): PfWithVfs[] {
  try {
    return listPfsWithVfs(sysfs, { used: new Set(), owed: new Set() });
  } catch {
    return []; // the status says why
  }
}

function versions({ paths, bootId }: Host): object {
  const text = (path: string) => ifThere(() => smallFile(path).trim());
  return {
    railnet: VERSION,
    runtime: `bun ${process.versions["bun"] ?? ""}`,
    architecture: process.arch,
    kernel: release(),
    kernelBuild: text("/proc/version"),
    kernelArguments: text("/proc/cmdline"),
    system: text(onHost(paths.hostRoot, "/etc/os-release"))?.split("\n"),
    bootId,
    uptimeSeconds: Math.round(uptime()),
    time: new Date().toISOString(),
  };
}

/** As a scrape has it. */
function metrics(socketPath: string, signal: AbortSignal): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const asked = request({ socketPath, path: "/metrics", host: "localhost", signal }, (answer) => {
    const pieces: Buffer[] = [];
    answer.on("data", (piece: Buffer) => pieces.push(piece));
    answer.on("end", () => resolve(Buffer.concat(pieces).toString("utf8")));
    answer.on("error", reject);
  });
  asked.on("error", (error) => reject(new Error(`no agent answers at ${socketPath}: ${error.message}`)));
  asked.end();
  return promise;
}

/** What the kernel reports about the agent's process: memory, threads, limits, what it waits for. */
const agentProcess = (status: () => Promise<NodeStatus>): Item => ({
  path: "railnet/process.txt",
  read: async () => {
    const { agent } = await status();
    if (!agent.answers) return undefined;
    const parts = ["status", "limits", "wchan", "cgroup"].map(
      (name) => `# ${name}\n${ifThere(() => smallFile(`/proc/${agent.pid}/${name}`))}`,
    );
    return parts.join("\n");
  },
});

/** Settings of root and the ConfigMap, and the node's CNI configuration; files with credentials are only named. */
function* settings({ host, configDir, bytes }: NodeOptions): Generator<Item> {
  const { paths } = host;
  yield fileItem("settings/node.json", paths.nodeConfig, bytes);
  yield listing("settings/etc-railnet.txt", join(paths.nodeConfig, ".."), 2);
  for (const key of ["rails", "logLevel", "fence", "whereabouts"])
    yield fileItem(`settings/config/${key}`, join(configDir, key), bytes);
  for (const folder of ["/etc/cni/net.d", "/etc/kubernetes/cni/net.d"]) {
    const there = onHost(paths.hostRoot, folder);
    yield listing(`settings${folder}.txt`, there, 2);
    for (const name of newestOf(there, (name) => /\.(conf|conflist|json)$/.test(name), 50))
      yield fileItem(`settings${folder}/${name}`, join(there, name), bytes);
  }
}

/** Records, notes of releases, debts, addresses of a single host; and what Railnet's predecessors left. */
function* journal({ stateDir, runDir, cniCacheDir, deviceInfoDir }: Paths, bytes: number): Generator<Item> {
  yield listing("state/files.txt", stateDir, 4);
  yield listing("state/run.txt", runDir, 3);
  for (const folder of ["attachments", "owed", "ipam", "vfs", "standing", "torn"])
    for (const name of newestOf(join(stateDir, folder), (name) => !name.endsWith(".tmp")))
      yield fileItem(`state/${folder}/${name}`, join(stateDir, folder, name), bytes);
  yield listing("state/addresses.txt", join(stateDir, "addresses"), 3);
  yield listing("state/cni-caches.txt", cniCacheDir, 3);
  yield listing("state/device-info.txt", deviceInfoDir, 1);
  for (const name of newestOf(deviceInfoDir, () => true, 500))
    yield fileItem(`state/device-info/${name}`, join(deviceInfoDir, name), bytes);
}

/** Of agents, as the kubelet keeps them, and of the kernel. */
function* logs({ hostRoot }: Paths, bytes: number, commands: HostCommands): Generator<Item> {
  const folder = onHost(hostRoot, "/var/log/pods");
  yield listing("logs/pods.txt", folder, 1);
  const pods = namesIn(folder).filter((name) => /_railnet-[a-z0-9]+_/.test(name));
  for (const pod of pods.slice(0, 10))
    for (const name of newestOf(join(folder, pod, "agent"), (name) => /\.log/.test(name) && !name.endsWith(".gz"), 3))
      yield fileItem(`logs/${pod}/${name}`, join(folder, pod, "agent", name), bytes);
  yield commands.item("logs/kernel.txt", "dmesg", "--time-format", "iso");
  yield commands.item(
    "logs/journal.txt",
    "journalctl",
    "--no-pager",
    "--output",
    "short-iso",
    "--lines",
    "2000",
    "--unit",
    "railnet",
    "--unit",
    "kubelet",
    "--unit",
    "containerd",
    "--unit",
    "crio",
  );
}

function* network(commands: HostCommands): Generator<Item> {
  const ip = (name: string, ...args: string[]) => commands.item(`network/${name}.json`, "ip", "-j", "-d", ...args);
  yield ip("link", "-s", "link", "show");
  yield ip("addr", "addr", "show");
  yield ip("route4", "-4", "route", "show", "table", "all");
  yield ip("route6", "-6", "route", "show", "table", "all");
  yield ip("rule4", "-4", "rule", "show");
  yield ip("rule6", "-6", "rule", "show");
  yield ip("neigh", "-s", "neigh", "show");
  yield commands.item("network/netns.json", "ip", "-j", "netns", "list-id");
  yield commands.item("network/bridge-vlan.json", "bridge", "-j", "vlan", "show");
  yield commands.item("network/nstat.txt", "nstat", "-a", "-z");
  yield commands.item("rdma/system.json", "rdma", "-j", "system", "show");
  yield commands.item("rdma/dev.json", "rdma", "-j", "-d", "dev", "show");
  yield commands.item("rdma/link.json", "rdma", "-j", "-d", "link", "show");
  yield commands.item("rdma/resource.json", "rdma", "-j", "resource", "show");
  yield commands.item("rdma/statistic.json", "rdma", "-j", "statistic", "show");
  yield commands.item("devlink/dev.json", "devlink", "-j", "dev", "info");
  yield commands.item("devlink/port.json", "devlink", "-j", "port", "show");
  yield commands.item("devlink/param.json", "devlink", "-j", "dev", "param", "show");
  yield commands.item("devlink/health.json", "devlink", "-j", "health", "show");
}

/** A PF as its driver describes it. */
function* device(pf: string, pci: string, commands: HostCommands): Generator<Item> {
  const ethtool = (name: string, ...flags: string[]) =>
    commands.item(`ethtool/${pf}/${name}.txt`, "ethtool", ...flags, pf);
  yield ethtool("settings");
  for (const [name, flag] of Object.entries({
    driver: "-i",
    features: "-k",
    statistics: "-S",
    channels: "-l",
    rings: "-g",
    pause: "-a",
    coalescing: "-c",
    fec: "--show-fec",
    module: "-m",
    "private-flags": "--show-priv-flags",
  }))
    yield ethtool(name, flag);
  yield commands.item(`devlink/${pf}/eswitch.json`, "devlink", "-j", "dev", "eswitch", "show", `pci/${pci}`);
  yield commands.item(`pci/${pf}.txt`, "lspci", "-nnvv", "-s", pci);
}

/** What else runs there, and which of Railnet's executables are installed. */
function* programs({ hostRoot }: Paths, commands: HostCommands): Generator<Item> {
  for (const folder of ["/opt/railnet/bin", "/opt/cni/bin"])
    yield listing(`programs${folder}.txt`, onHost(hostRoot, folder), 1);
  for (const program of ["kubelet", "containerd", "crio", "runc"])
    yield commands.item(`programs/${program}.txt`, program, "--version");
  yield fileItem("programs/modules.txt", "/proc/modules", 1 << 20);
  yield commands.item("programs/processes.txt", "ps", "-eo", "pid,ppid,stat,wchan:32,etimes,comm");
}

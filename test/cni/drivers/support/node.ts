import "./redirect.ts";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Attachment } from "../../../../cni/attachment/record.ts";
import type { Host } from "../../../../cni/host.ts";
import type { CniRequest, CniResponse } from "../../../../cni/protocol/request.ts";
import type { Step } from "../../../../cni/steps.ts";
import type { Repair } from "../../../../daemonset/reconcile/plan.ts";
import { SysfsTree } from "../../../../lab/netns/sysfs-tree.ts";
import { DoubleKernel } from "./kernel.ts";
import { Nic, type Vf } from "./nic.ts";
import type { Profile } from "./profiles.ts";

// After the redirection: static imports of the product would come before it.
const { createHost } = await import("../../../../cni/node-host.ts");
const { isRegularFile } = await import("../../../../cni/protocol/delegate.ts");
const { dispatch } = await import("../../../../cni/protocol/dispatch.ts");
const { sriov } = await import("../../../../cni/plugin.ts");
const { IpamPlugins } = await import("../../../../ipam/plugins.ts");
const { reconcile } = await import("../../../../daemonset/reconcile/reconcile.ts");

/** Records are synced to disk, which memory does at once. */
const MEMORY = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
const PF_PCI = "0000:a0:00.0";
const IPAM = "double-ipam";

export interface Pod {
  readonly id: string;
  readonly path: string;
  readonly namespace: ReturnType<DoubleKernel["addNamespace"]>;
}

/** A node with one NIC of a profile: the product's own ADD, DEL, CHECK and reconciler on a kernel that is none. */
export class DoubleNode implements Disposable {
  readonly dir = mkdtempSync(join(MEMORY, "railnet-drivers-"));
  readonly sysfs = new SysfsTree(join(this.dir, "sys"));
  readonly kernel: DoubleKernel;
  readonly nic: Nic;
  readonly host: Host;
  /** The profile as it is meant, where a test turns off a part of it. */
  readonly expected: Profile;
  readonly warnings: string[] = [];
  /** The verbs that the IPAM plugin was asked for. */
  readonly asked: string[] = [];
  failIpam = false;
  /** What the IPAM plugin says to a DEL; empty: it releases. */
  failRelease = "";
  onStep: (step: Step) => void = () => {};
  #pods = 0;

  constructor(profile: Profile, { vfs = 2, expected = profile }: { vfs?: number; expected?: Profile } = {}) {
    this.expected = expected;
    this.kernel = new DoubleKernel(this.sysfs);
    this.sysfs.add({ pci: PF_PCI, netdev: "ens1", driver: profile.driver });
    const pf = this.kernel.addLink("ens1", PF_PCI, "02:00:00:00:ff:00");
    pf.up = true;
    pf.mtu = 9000;
    const links = Array.from({ length: vfs }, (_, i) => {
      const pci = `0000:a0:${(2 + (i >> 3)).toString(16).padStart(2, "0")}.${i & 7}`;
      this.sysfs.add({ pci, netdev: `ens1v${i}`, driver: profile.vfDriver });
      return this.kernel.addLink(`ens1v${i}`, pci, `02:00:00:00:${(i >> 8).toString(16).padStart(2, "0")}:${(i & 255).toString(16).padStart(2, "0")}`); // biome-ignore format: one row
    });
    this.sysfs.setVfs(
      PF_PCI,
      links.map(({ pci }) => pci),
    );
    this.nic = new Nic(profile, this.kernel.clock, pf, links);
    this.kernel.nics.push(this.nic);
    mkdirSync(join(this.dir, "bin"));
    writeFileSync(join(this.dir, "bin", IPAM), "", { mode: 0o755 });
    this.host = this.#createHost();
  }

  /** `ip link set ens1 name …`, as udev and people do. */
  renamePf(name: string): void {
    const { pf } = this.nic;
    this.sysfs.removeNetdev(PF_PCI, pf.name);
    this.sysfs.addNetdev(PF_PCI, name);
    pf.name = name;
  }

  vf(index = 0): Vf {
    return this.nic.vfs[index]!;
  }

  pod(): Pod {
    const id = `c${this.#pods++}`;
    const path = join(this.dir, "netns", id);
    return { id, path, namespace: this.kernel.addNamespace(path) };
  }

  /** @throws {Error} with the `code` and `msg` of the CNI error. */
  async add(pod: Pod, config: object, index = 0, env = {}): Promise<Record<string, unknown>> {
    return await this.#call("ADD", pod, config, index, env);
  }

  async del(pod: Pod, config: object, index = 0, env = {}): Promise<void> {
    await this.#call("DEL", pod, config, index, env);
  }

  async check(pod: Pod, config: object, prevResult: unknown, index = 0): Promise<void> {
    await this.#call("CHECK", pod, { ...config, prevResult }, index);
  }

  /** @param valid the attachments that the runtime lists; undefined: it lists nothing at all. */
  async gc(
    valid: readonly { readonly containerID: string; readonly ifname: string }[] | undefined,
    config: object = {},
  ) {
    await this.#ask(
      "GC",
      {},
      { ipam: { type: IPAM }, ...config, ...(valid && { "cni.dev/valid-attachments": valid }) },
    );
  }

  async status(config: object = {}): Promise<void> {
    await this.#ask("STATUS", {}, { ipam: { type: IPAM }, ...config });
  }

  async reconcile(): Promise<Repair[]> {
    return await reconcile(this.host);
  }

  /** All that must be as before. */
  picture(index = 0) {
    const { link, state, pinned } = this.vf(index);
    const isHome = this.kernel.host.links.get(link.index) === link;
    const { name, mac, mtu, alias, altnames, up } = link;
    return { isHome, name, mac, mtu, alias, altnames: [...altnames], up, state: { ...state }, pinned };
  }

  /** Changes the one record behind the product's back. */
  editRecord(change: (a: Attachment) => Attachment): void {
    const dir = join(this.dir, "state/attachments");
    const [name] = readdirSync(dir).filter((file) => file.endsWith(".json"));
    const lines = readFileSync(join(dir, name!), "utf8").trim().split("\n");
    const whole = Object.assign({}, ...lines.map((line) => JSON.parse(line))) as Attachment;
    writeFileSync(join(dir, name!), JSON.stringify(change(whole)));
  }

  /** The runtime takes the namespace away without DEL. */
  removePod({ namespace, path }: Pod): void {
    this.kernel.removeNamespace(namespace);
    rmSync(path);
  }

  /** Resets that are under way end. */
  settle(): void {
    this.kernel.clock.pass(10_000);
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true });
  }

  async #call(
    verb: "ADD" | "DEL" | "CHECK",
    pod: Pod,
    config: object,
    index: number,
    env: Readonly<Record<string, string>> = {},
  ): Promise<Record<string, unknown>> {
    const sandbox = { CNI_CONTAINERID: pod.id, CNI_NETNS: pod.path, CNI_IFNAME: "net1", ...env };
    return this.#ask(verb, sandbox, { deviceID: this.vf(index).link.pci, ipam: { type: IPAM }, ...config });
  }

  async #ask(verb: string, env: Readonly<Record<string, string>>, config: object): Promise<Record<string, unknown>> {
    const request: CniRequest = {
      name: "railnet-sriov",
      env: { CNI_COMMAND: verb, CNI_PATH: join(this.dir, "bin"), ...env },
      stdin: JSON.stringify({ cniVersion: "1.1.0", name: "rail0", type: "railnet-sriov", ...config }),
    };
    const step = (at: Step) => this.onStep(at);
    const { exit, stdout }: CniResponse = await dispatch(sriov, request, () => ({ ...this.host, step }));
    const answer = stdout ? (JSON.parse(stdout) as Record<string, unknown>) : {};
    if (exit !== 0) throw Object.assign(new Error(String(answer["msg"])), answer);
    return answer;
  }

  #createHost(): Host {
    const { clock } = this.kernel;
    const address = { cniVersion: "1.1.0", ips: [{ address: "192.0.2.7/24" }], routes: [{ dst: "198.51.100.0/24" }] };
    const paths = { sysfs: this.sysfs.root, stateDir: join(this.dir, "state"), runDir: join(this.dir, "run"), cniCacheDir: join(this.dir, "cache"), netnsDir: join(this.dir, "netns"), deviceInfoDir: join(this.dir, "devinfo"), nodeConfig: join(this.dir, "node.json") }; // biome-ignore format: one row
    return createHost({
      paths,
      clock,
      ipam: new IpamPlugins({
        exec: async ({ env }) => {
          this.asked.push(String(env["CNI_COMMAND"]));
          const msg = env["CNI_COMMAND"] === "ADD" ? this.failIpam && "no addresses left" : this.failRelease;
          const error = { cniVersion: "1.1.0", code: 100, msg };
          return { exit: msg ? 1 : 0, stdout: JSON.stringify(msg ? error : address), stderr: "" };
        },
        askOwn: () => Promise.reject(new Error("not here")),
        aliases: () => [],
        isFile: isRegularFile,
      }),
      log: { debug() {}, info() {}, warn: (_fields, message) => void this.warnings.push(message) },
    });
  }
}

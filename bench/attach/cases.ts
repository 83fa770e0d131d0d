import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Executables } from "./executables.ts";
import type { Job, Step } from "./interleave.ts";
import { type Device, type Place, RAILS } from "./place.ts";

export type Verb = "add" | "del";
/** `shim`: with the agent; `alone`: the full binary; `go`: host-device and static; `floor`: ip -batch. */
export type Contestant = "shim" | "alone" | "go" | "floor";

/** Makes the jobs of one place; configurations and batches go into `dir`. */
export class Cases {
  readonly #place: Place;
  readonly #executables: Executables;
  readonly #dir: string;
  readonly #hasIpam: boolean;

  /** @param hasIpam false: links without addresses, which nobody executes an IPAM plugin for. */
  constructor(place: Place, executables: Executables, dir: string, hasIpam: boolean) {
    this.#hasIpam = hasIpam;
    this.#place = place;
    this.#executables = executables;
    this.#dir = dir;
    mkdirSync(dir, { recursive: true });
    place.devices.forEach((device) => {
      this.#writeFiles(device);
    });
  }

  /** ADD, then DEL, of the first `count` devices at once, by each contestant in turn: labels `add/4/shim`. */
  attach(count: number, contestants: readonly Contestant[]): Job[] {
    const devices = this.#place.devices.slice(0, count);
    return contestants.flatMap((who) =>
      (["add", "del"] as const).map((verb) => ({
        label: `${verb}/${count}/${who}`,
        chains: devices.map((device) => this.#steps(who, verb, device)),
      })),
    );
  }

  /** A pod on all rails: one call for one network of all of them, and one call after the other for each, as Multus makes them. */
  set(): Job[] {
    const { shim, peers } = this.#executables;
    const rails = this.#place.devices.slice(0, RAILS);
    const pod = rails[0]!.pod;
    const step = (verb: Verb, ifname: string, stdin: string): Step => ({
      argv: [shim],
      env: {
        CNI_COMMAND: verb.toUpperCase(),
        CNI_CONTAINERID: `set-${pod}`,
        CNI_NETNS: netnsPath(pod),
        CNI_IFNAME: ifname,
        CNI_PATH: peers,
      },
      stdin,
    });
    const each = (verb: Verb) =>
      rails.map((device, i) => step(verb, `net${i + 1}`, this.#file(device, "railnet.json")));
    const whole = join(this.#dir, "set.json");
    const entries = rails.map(({ address }) => (this.#hasIpam ? { ipam: { addresses: [{ address }] } } : {}));
    const ipam = this.#hasIpam ? { type: "static" } : {};
    const deviceID = rails.map(({ pci }) => pci).join();
    writeFileSync(
      whole,
      JSON.stringify({ cniVersion: "1.0.0", name: "bench", type: "railnet-sriov", deviceID, ipam, rails: entries }),
    );
    return [
      { label: "add/set/four", chains: [each("add")] },
      { label: "del/set/four", chains: [each("del")] },
      { label: "add/set/shim", chains: [[step("add", "net1", whole)]] },
      { label: "del/set/shim", chains: [[step("del", "net1", whole)]] },
    ];
  }

  /** What it costs to be started at all. */
  versions(): Job[] {
    const { shim, alone, peers } = this.#executables;
    const job = (label: string, binary: string, env = {}): Job => ({ label, chains: [[{ argv: [binary], env }]] });
    const env = { CNI_COMMAND: "VERSION", CNI_PATH: peers };
    return [
      job("version/true", "/bin/true"),
      job("version/shim", shim, env),
      job("version/alone", alone, env),
      job("version/go", join(peers, "host-device"), env),
    ];
  }

  #steps(who: Contestant, verb: Verb, device: Device): Step[] {
    if (who === "floor") return this.#floor(verb, device);
    const { shim, alone, peers } = this.#executables;
    const binary = { shim, alone, go: join(peers, "host-device") }[who];
    const env = {
      CNI_COMMAND: verb.toUpperCase(),
      CNI_CONTAINERID: device.pod,
      CNI_NETNS: netnsPath(device.pod),
      CNI_IFNAME: "net1",
      CNI_PATH: peers,
    };
    const ours = who === "alone" ? this.#place.env : {};
    return [
      {
        argv: [binary],
        env: { ...env, ...ours },
        stdin: this.#file(device, who === "go" ? "go.json" : "railnet.json"),
      },
    ];
  }

  /** The same kernel changes, written down beforehand: the link moves, named and marked; sysctls, address, up; and back. */
  #floor(verb: Verb, device: Device): Step[] {
    const batch = (name: string) => ["ip", "-batch", this.#file(device, name)];
    const inPod = { netns: netnsPath(device.pod) };
    if (verb === "del") return [{ argv: batch("back"), ...inPod }];
    return [{ argv: batch("move") }, { argv: ["sh", this.#file(device, "configure")], ...inPod }];
  }

  #writeFiles(device: Device): void {
    const { link, pod, address, pci } = device;
    const ipam = this.#hasIpam ? { type: "static", addresses: [{ address }] } : {};
    const common = { cniVersion: "1.0.0", name: "bench", ipam };
    const write = (name: string, text: string) => writeFileSync(this.#file(device, name), text);
    write("railnet.json", JSON.stringify({ ...common, type: "railnet-sriov", deviceID: pci }));
    write("go.json", JSON.stringify({ ...common, type: "host-device", ...this.#place.peerDevice(device) }));
    write("move", `link set ${link} netns ${pod} name net1 alias "railnet ${pci} ${link}"\n`);
    write("address", `${this.#hasIpam ? `addr add ${address} brd + dev net1\n` : ""}link set net1 up\n`);
    write("configure", `${SYSCTLS.join("\n")}\nexec ip -batch ${this.#file(device, "address")}\n`);
    write("back", `link set net1 down netns home name ${link} alias ""\n`);
  }

  #file(device: Device, name: string): string {
    return join(this.#dir, `${device.pod}.${name}`);
  }
}

/** What Railnet always sets on a pod's rail; ip(8) has no words for it, the shell needs no process more. */
const SYSCTLS = [
  ["ipv4", "rp_filter", 2],
  ["ipv4", "arp_announce", 2],
  ["ipv4", "arp_ignore", 1],
  ["ipv4", "arp_notify", 1],
  ["ipv6", "optimistic_dad", 1],
  ["ipv6", "ndisc_notify", 1],
].map(([family, key, value]) => `echo ${value} > /proc/sys/net/${family}/conf/net1/${key}`);

const netnsPath = (name: string) => `/run/netns/${name}`;

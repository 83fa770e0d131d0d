import type { Test } from "tap";
import { dispatch } from "../../../cni/protocol/dispatch.ts";
import { type Call, readRequest } from "../../../cni/protocol/request.ts";
import type { IpamHost } from "../../../ipam/host.ts";
import { ClaimJournal } from "../../../ipam/journal.ts";
import { ipam } from "../../../ipam/plugin.ts";
import { release } from "../../../ipam/release.ts";
import { DirectoryStore } from "../../../ipam/store/directory.ts";

const RANGE = "10.40.0.0/24";
const nobody = async () => ({ [Symbol.dispose]() {} }); // one call at a time

/** A node with a state directory of its own, and a store that it shares with others: the IPAM plugin's verbs as they are. */
export class VerbsNode {
  readonly name: string;
  /** By path of a namespace. */
  readonly inodes = new Map<string, number>();
  readonly #dir: string;
  readonly #store: DirectoryStore;

  constructor(dir: string, name: string) {
    this.name = name;
    this.#dir = dir;
    this.#store = new DirectoryStore(`${dir}/addresses`, nobody);
  }

  get #host(): IpamHost {
    const stateDir = `${this.#dir}/${this.name}`;
    const host: IpamHost = {
      stateDir,
      node: this.name,
      log: { info: () => {}, warn: () => {} },
      signal: new AbortController().signal,
      policy: { directory: `${this.#dir}/addresses`, flatFiles: [] },
      inode: (path) => this.inodes.get(path) ?? 0,
      readText: () => undefined,
      lock: nobody,
      store: async () => this.#store,
      step: () => {},
      releaseSoon: (record) => release(record, this.#store, new ClaimJournal(stateDir), host).then(() => {}),
      wasReleased: () => false,
    };
    return host;
  }

  /** A sandbox begins: its namespace, its ADD. @returns its address. */
  async add(containerId: string, podUid: string, network?: string): Promise<string> {
    this.inodes.set(netnsOf(containerId), 100 + Number.parseInt(containerId.slice(1), 10));
    return (await this.#call("ADD", containerId, podUid, network)).ips[0].address.split("/")[0];
  }

  /** As the attach plugin asks for the rails of a set: all at once. @returns of each its address, or why it has none. */
  async addSet(containerId: string, ranges: readonly string[], more: object = {}): Promise<string[]> {
    const env = {
      CNI_COMMAND: "ADD",
      CNI_CONTAINERID: containerId,
      CNI_NETNS: netnsOf(containerId),
      CNI_PATH: "/opt/cni/bin",
      CNI_ARGS: `K8S_POD_NAMESPACE=team;K8S_POD_NAME=${containerId}`,
    };
    this.inodes.set(netnsOf(containerId), 100 + Number.parseInt(containerId.slice(1), 10));
    const rails = ranges.map((_, i) => `rail${i}`);
    const calls = ranges.map((range, i): Call => {
      const stdin = JSON.stringify({
        cniVersion: "1.0.0",
        name: "rails",
        type: "railnet-sriov",
        ipam: { type: "railnet-ipam", range, ...more },
      });
      const call = readRequest({ name: "railnet-ipam", env: { ...env, CNI_IFNAME: rails[i]! }, stdin });
      return { ...call, set: { via: "net1", rails } };
    });
    const results = await Promise.allSettled(calls.map((call) => ipam.verbs.ADD!(call, this.#host)));
    return results.map((one) =>
      one.status === "fulfilled" ? one.value.ips[0]!.address : (one.reason as Error).message,
    );
  }

  del(containerId: string, podUid: string): Promise<unknown> {
    return this.#call("DEL", containerId, podUid);
  }

  /** Its namespace goes, and no DEL comes. */
  die(containerId: string): void {
    this.inodes.delete(netnsOf(containerId));
  }

  async holder(ip: string): Promise<string | undefined> {
    const pool = { name: "10.40.0.0-24", cidr: RANGE, network: "", overlapping: true };
    return (await this.#store.holder(pool, ip))?.containerId;
  }

  /** Of one network. @param valid what the runtime lists; undefined: it lists nothing at all. */
  async gc(network: string, valid?: readonly string[]): Promise<void> {
    const list = valid && {
      "cni.dev/valid-attachments": valid.map((containerID) => ({ containerID, ifname: "net1" })),
    };
    await this.#ask(
      "GC",
      { CNI_COMMAND: "GC", CNI_PATH: "/opt/cni/bin" },
      { cniVersion: "1.1.0", name: network, ...list },
    );
  }

  async #call(verb: "ADD" | "DEL", containerId: string, podUid: string, network = "rail0") {
    const env = {
      CNI_COMMAND: verb,
      CNI_CONTAINERID: containerId,
      CNI_IFNAME: "net1",
      CNI_NETNS: netnsOf(containerId),
      CNI_PATH: "/opt/cni/bin",
      CNI_ARGS: `K8S_POD_NAMESPACE=team;K8S_POD_NAME=web-0;K8S_POD_UID=${podUid}`,
    };
    return this.#ask(verb, env, { cniVersion: "1.0.0", name: network });
  }

  async #ask(verb: string, env: Readonly<Record<string, string>>, config: object) {
    const ipamConfig = { type: "railnet-ipam", range: RANGE };
    const stdin = JSON.stringify({ ...config, type: "railnet-sriov", ipam: ipamConfig });
    const { exit, stdout } = await dispatch(ipam, { name: "railnet-ipam", env, stdin }, () => this.#host);
    if (exit !== 0) throw new Error(`${verb}: ${stdout}`);
    return stdout ? JSON.parse(stdout) : undefined;
  }
}

const netnsOf = (containerId: string): string => `/run/netns/${containerId}`;

export function nodesOf(t: Test, ...names: string[]): VerbsNode[] {
  const dir = t.testdir({});
  return names.map((name) => new VerbsNode(dir, name));
}

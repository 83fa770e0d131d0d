// Whose address goes over to whom, by the verbs themselves: nodes that share one store.
import t, { type Test } from "tap";
import { dispatch } from "../../cni/protocol/dispatch.ts";
import type { IpamHost } from "../../ipam/host.ts";
import { ClaimJournal } from "../../ipam/journal.ts";
import { ipam } from "../../ipam/plugin.ts";
import { release } from "../../ipam/release.ts";
import { DirectoryStore } from "../../ipam/store/directory.ts";

const RANGE = "10.40.0.0/24";
const nobody = async () => ({ [Symbol.dispose]() {} }); // one call at a time

/** A node with a state directory of its own, and a store that it shares with others. */
class Node {
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
  async add(containerId: string, podUid: string): Promise<string> {
    this.inodes.set(netnsOf(containerId), 100 + Number.parseInt(containerId.slice(1), 10));
    return (await this.#call("ADD", containerId, podUid)).ips[0].address.split("/")[0];
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

  async #call(verb: "ADD" | "DEL", containerId: string, podUid: string) {
    const env = {
      CNI_COMMAND: verb,
      CNI_CONTAINERID: containerId,
      CNI_IFNAME: "net1",
      CNI_NETNS: netnsOf(containerId),
      CNI_PATH: "/opt/cni/bin",
      CNI_ARGS: `K8S_POD_NAMESPACE=team;K8S_POD_NAME=web-0;K8S_POD_UID=${podUid}`,
    };
    const ipamConfig = { type: "railnet-ipam", range: RANGE };
    const stdin = JSON.stringify({ cniVersion: "1.0.0", name: "rail0", type: "railnet-sriov", ipam: ipamConfig });
    const { exit, stdout } = await dispatch(ipam, { name: "railnet-ipam", env, stdin }, () => this.#host);
    if (exit !== 0) throw new Error(stdout);
    return stdout ? JSON.parse(stdout) : undefined;
  }
}

const netnsOf = (containerId: string): string => `/run/netns/${containerId}`;

function nodesOf(t: Test, ...names: string[]): Node[] {
  const dir = t.testdir({});
  return names.map((name) => new Node(dir, name));
}

t.test("ADD of a pod made anew elsewhere leaves the address to the sandbox that may still live", async (t) => {
  const [a, b] = nodesOf(t, "node-a", "node-b") as [Node, Node];
  const first = await a.add("c1", "uid-1");
  const second = await b.add("c2", "uid-2"); // node-a is cut off; the pod was deleted by force
  t.not(second, first);
  t.equal(await a.add("c3", "uid-1"), first, "node-a is back: a new sandbox of the old pod");
  for (const id of ["c1", "c3"]) await a.del(id, "uid-1");
  t.equal(await b.holder(second), "c2", "nothing is taken from the new one");
  t.equal(await b.holder(first), undefined);
  await b.del("c2", "uid-2");
  t.equal(await b.holder(second), undefined);
});

t.test("ADD of a pod of the same name on the same node takes the address of a sandbox that is over", async (t) => {
  const [a] = nodesOf(t, "node-a") as [Node];
  const first = await a.add("c1", "uid-1");
  t.not(await a.add("c2", "uid-2"), first, "not while its namespace is there");
  a.die("c1");
  t.equal(await a.add("c3", "uid-3"), first);
  await a.del("c1", "uid-1");
  t.equal(await a.holder(first), "c3", "a late DEL of the first one changes nothing");
});

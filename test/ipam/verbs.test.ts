// Each verb with each thing that goes wrong: what a runtime is told, what is on record, what the store has in the end.
import t, { type Test } from "tap";
import { type Call, readRequest } from "../../cni/protocol/request.ts";
import type { IpamHost } from "../../ipam/host.ts";
import { ClaimJournal, type ClaimRecord } from "../../ipam/journal.ts";
import { ipam } from "../../ipam/plugin.ts";
import { release } from "../../ipam/release.ts";
import type { IpamStep } from "../../ipam/steps.ts";
import { MemoryStore } from "../../ipam/store/memory.ts";
import { type Owner, StoreError, type StoreFailure } from "../../ipam/store/store.ts";

const RANGE = "10.40.0.0/24";
const POOL = { name: "10.40.0.0-24", cidr: RANGE, network: "", overlapping: true };

/** A node with one store; what a test wants otherwise it sets. */
class Node {
  readonly store = new MemoryStore();
  readonly journal: ClaimJournal;
  /** What was done, in order: `lock …`, `unlock …`, steps, `release …` with the phase of the record on disk. */
  readonly done: string[] = [];
  readonly warnings: string[] = [];
  readonly aborted = new AbortController();
  wasReleased = false;
  /** Releases at once, as an agent does; else the record waits. */
  releases = true;
  onStep: (step: IpamStep) => void = () => {};
  readonly #stateDir: string;

  constructor(t: Test) {
    this.#stateDir = t.testdir({});
    this.journal = new ClaimJournal(this.#stateDir);
  }

  get host(): IpamHost {
    const host: IpamHost = {
      stateDir: this.#stateDir,
      node: "node-a",
      log: { info: () => {}, warn: (_, message) => this.warnings.push(message) },
      signal: this.aborted.signal,
      policy: { directory: "/nowhere", flatFiles: [] },
      inode: (path) => path.length,
      readText: () => undefined,
      lock: async (_, what) => {
        this.done.push(`lock ${what}`);
        return { [Symbol.dispose]: () => this.done.push(`unlock ${what}`) };
      },
      store: async () => this.store,
      step: (step) => {
        this.done.push(step);
        this.onStep(step);
      },
      releaseSoon: async (record) => {
        const { containerId, ifname } = record.owner;
        this.done.push(`release ${record.phase}, on disk ${this.journal.find(containerId, ifname)?.phase}`);
        if (this.releases) await release(record, this.store, this.journal, host, true);
      },
      wasReleased: () => this.wasReleased,
    };
    return host;
  }

  ask(verb: "ADD" | "DEL" | "CHECK" | "STATUS" | "GC", containerId: string, more: object = {}, env: object = {}) {
    const call = callOf(verb, containerId, more, env);
    return (ipam.verbs as Record<string, (call: Call, host: IpamHost) => Promise<unknown>>)[verb]!(call, this.host);
  }

  record(containerId: string): ClaimRecord | undefined {
    return this.journal.find(containerId, "net1");
  }

  async held(): Promise<string[]> {
    const ips = Array.from({ length: 4 }, (_, i) => `10.40.0.${i + 1}`);
    const owners = await Promise.all(ips.map((ip) => this.store.holder(POOL, ip)));
    return owners.flatMap((owner, i) => (owner ? [`${ips[i]} ${owner.containerId}`] : []));
  }
}

function callOf(verb: string, containerId: string, more: object, env: object): Call {
  const isOfSandbox = !["STATUS", "GC"].includes(verb);
  const sandbox = {
    CNI_CONTAINERID: containerId,
    CNI_IFNAME: "net1",
    CNI_NETNS: "/run/netns/a",
    CNI_ARGS: "K8S_POD_NAMESPACE=team;K8S_POD_NAME=web-0;K8S_POD_UID=u1",
  };
  const config = {
    cniVersion: "1.1.0",
    name: "rail0",
    type: "railnet-sriov",
    ipam: { type: "railnet-ipam", range: RANGE },
  };
  return readRequest({
    name: "railnet-ipam",
    env: { CNI_COMMAND: verb, CNI_PATH: "/opt/cni/bin", ...(isOfSandbox && sandbox), ...env },
    stdin: JSON.stringify({ ...config, ...more }),
  });
}

const prevResult = (...ips: string[]) => ({
  prevResult: { cniVersion: "1.1.0", ips: ips.map((ip) => ({ address: `${ip}/24` })) },
});
const failing = (kind: StoreFailure) => async (): Promise<never> => {
  throw new StoreError(kind, "cannot: planted");
};

t.test("ADD writes down whose the addresses are, and holds its attachment's lock all the time", async (t) => {
  const node = new Node(t);
  await node.ask("ADD", "c1");
  t.match(node.record("c1"), {
    version: 1,
    phase: "held",
    network: "rail0",
    storage: { kind: "directory" },
    owner: { podref: "team/web-0", ifname: "net1", containerId: "c1", node: "node-a", podUid: "u1" },
    netns: "/run/netns/a",
    netnsInode: "/run/netns/a".length,
    addresses: [{ ip: "10.40.0.1", pool: { name: POOL.name } }],
  });
  t.notOk(node.record("c1")!.unfinished);
  t.equal(node.done[0], "lock the addresses of c1 (net1)");
  t.equal(node.done.at(-1), "unlock the addresses of c1 (net1)");
  t.equal(node.done.indexOf("ipam-add-held"), node.done.length - 2);
});

t.test("ADD again keeps the address; what an ADD that died left is given back first", async (t) => {
  const node = new Node(t);
  await node.ask("ADD", "c1");
  await node.ask("ADD", "c1");
  t.same(await node.held(), ["10.40.0.1 c1"]);
  const dead = new Node(t);
  const owner: Owner = { podref: "team/web-0", ifname: "net1", containerId: "c1", node: "node-a" };
  for (const ip of ["10.40.0.2", "10.40.0.3"]) await dead.store.claim({ pool: POOL, ip, owner });
  await dead.ask("ADD", "c1");
  t.same((await dead.held()).length, 2, "what no record names is kept");
  dead.journal.update(dead.record("c1")!, { phase: "claiming" });
  await dead.ask("ADD", "c1");
  t.equal(dead.record("c1")!.phase, "held");
  t.same(dead.record("c1")!.addresses.length, 1);
});

for (const { when, plant, code, unfinished } of [
  { when: "the caller is gone after the claim", plant: (node: Node) => (node.onStep = (step) => step === "ipam-add-claimed" && node.aborted.abort(new Error("gone"))), code: undefined, unfinished: "answered" },
  { when: "the store does not answer", plant: (node: Node) => (node.store.claim = failing("unavailable")), code: 11, unfinished: "answered" },
  { when: "the store refuses", plant: (node: Node) => (node.store.claim = failing("refused")), code: 100, unfinished: "answered" },
  { when: "nobody knows what the store did", plant: (node: Node) => (node.store.claim = failing("unclear")), code: 11, unfinished: "unclear" },
  { when: "the pool cannot be looked at", plant: (node: Node) => (node.store.taken = failing("unavailable")), code: 11, unfinished: undefined },
] as const) // biome-ignore format: rows
  t.test(`ADD fails when ${when}: what may have been claimed is to be given back`, async (t) => {
    const node = new Node(t);
    node.releases = false;
    plant(node);
    const error = (await node.ask("ADD", "c1").catch((e: unknown) => e)) as { code?: number };
    t.ok(error instanceof Error, String(error));
    t.equal(error.code, code);
    t.equal(node.record("c1")?.phase, unfinished && "releasing");
    t.equal(node.record("c1")?.unfinished, unfinished);
    t.equal(node.done.includes("release releasing, on disk releasing"), unfinished !== undefined);
    t.equal(node.done.at(-1), "unlock the addresses of c1 (net1)", "in the lock");
  });

t.test("ADD of an exhausted range says so", async (t) => {
  const node = new Node(t);
  const range = "10.40.0.0/30";
  const asked = (id: string) =>
    node.ask(
      "ADD",
      id,
      { ipam: { type: "railnet-ipam", range } },
      { CNI_ARGS: `K8S_POD_NAMESPACE=a;K8S_POD_NAME=${id}` },
    );
  await asked("c1");
  await asked("c2");
  await t.rejects(asked("c3"), { name: "CniError", message: /Could not allocate IP in range/ });
  t.equal(node.record("c3"), undefined);
});

const heldBy = (owner: Owner | StoreError) => async (node: Node) => {
  node.store.holder = async () => {
    if (owner instanceof StoreError) throw owner;
    return owner;
  };
};

for (const { when, before, more, code, message } of [
  { when: "all is as ADD left it", before: async () => {}, more: prevResult("10.40.0.1"), code: undefined, message: undefined },
  { when: "no result is told", before: async () => {}, more: {}, code: undefined, message: undefined },
  { when: "the result has another address", before: async () => {}, more: prevResult("10.40.0.9"), code: 100, message: "cannot confirm 10.40.0.1 of net1: prevResult does not have it" },
  { when: "nobody has the address", before: async (node: Node) => void (await node.store.release({ pool: POOL, ip: "10.40.0.1", owner: node.record("c1")!.owner })), more: {}, code: 100, message: "cannot confirm 10.40.0.1 of net1: nobody holds it" },
  { when: "another interface has it", before: heldBy({ podref: "team/web-0", ifname: "net2", containerId: "c1" }), more: {}, code: 100, message: "cannot confirm 10.40.0.1 of net1: it belongs to team/web-0 (net2)" },
  { when: "another sandbox has it", before: heldBy({ podref: "team/x", ifname: "net1", containerId: "c2" }), more: {}, code: 100, message: "cannot confirm 10.40.0.1 of net1: it belongs to team/x (net1)" },
  { when: "the store does not answer", before: heldBy(new StoreError("unavailable", "cannot: planted")), more: {}, code: 11, message: "cannot: planted" },
  { when: "its ADD did not finish", before: async (node: Node) => node.journal.update(node.record("c1")!, { phase: "claiming" }), more: {}, code: 3, message: "cannot check net1: no ADD of container c1 is on record" },
  { when: "its DEL came", before: async (node: Node) => node.journal.update(node.record("c1")!, { phase: "releasing" }), more: {}, code: 3, message: "cannot check net1: no ADD of container c1 is on record" },
  { when: "there is no record", before: async (node: Node) => node.journal.forget(node.record("c1")!), more: {}, code: 3, message: "cannot check net1: no ADD of container c1 is on record" },
]) // biome-ignore format: rows
  t.test(`CHECK when ${when}`, async (t) => {
    const node = new Node(t);
    await node.ask("ADD", "c1");
    await before(node);
    const asked = node.ask("CHECK", "c1", { ...prevResult("10.40.0.1"), ...more });
    if (code === undefined) await asked;
    else await t.rejects(asked, { code, message });
    t.pass();
  });

t.test("DEL is on disk before anything is given back, in the attachment's lock", async (t) => {
  const node = new Node(t);
  await node.ask("ADD", "c1");
  node.done.length = 0;
  await node.ask("DEL", "c1");
  const lock = "the addresses of c1 (net1)";
  const steps = ["ipam-del-locked", "ipam-del-journalled", "release releasing, on disk releasing"];
  t.same(node.done.slice(0, 4), [`lock ${lock}`, ...steps]);
  t.equal(node.done.at(-1), `unlock ${lock}`);
  t.same(await node.held(), []);
  t.equal(node.record("c1"), undefined);
});

for (const { when, change, unfinished } of [
  { when: "that finished", change: {}, unfinished: undefined },
  { when: "that died, its store in this process", change: { phase: "claiming" }, unfinished: "answered" },
  { when: "that died, its store an API server", change: { phase: "claiming", storage: { kind: "kubernetes" } }, unfinished: "unclear" },
] as const) // biome-ignore format: rows
  t.test(`DEL of an ADD ${when}: whether a request of it may still arrive`, async (t) => {
    const node = new Node(t);
    await node.ask("ADD", "c1");
    node.releases = false;
    node.journal.update(node.record("c1")!, { ...change, since: "2020-01-01T00:00:00.000Z" } as Partial<ClaimRecord>);
    await node.ask("DEL", "c1");
    t.match(node.record("c1"), { phase: "releasing", addresses: [{ ip: "10.40.0.1" }] });
    t.equal(node.record("c1")!.unfinished, unfinished);
    t.ok(Date.now() - Date.parse(node.record("c1")!.since) < 60_000, "from now on");
    const since = node.record("c1")!.since;
    await node.ask("DEL", "c1");
    t.equal(node.record("c1")!.since, since, "a second one changes nothing");
    t.equal(node.record("c1")!.unfinished, unfinished);
  });

t.test("DEL of what no journal knows looks through its pools by container ID, once", async (t) => {
  const node = new Node(t);
  const owner: Owner = { podref: "team/web-0", ifname: "net1", containerId: "c9" };
  await node.store.claim({ pool: POOL, ip: "10.40.0.2", owner });
  await node.store.claim({ pool: POOL, ip: "10.40.0.3", owner: { ...owner, containerId: "c8" } });
  node.wasReleased = true;
  await node.ask("DEL", "c9");
  t.same(await node.held(), ["10.40.0.2 c9", "10.40.0.3 c8"], "it was released a moment ago");
  node.wasReleased = false;
  node.releases = false;
  await node.ask("DEL", "c9");
  t.match(node.record("c9"), {
    version: 1,
    phase: "releasing",
    network: "rail0",
    owner: { ...owner, node: "node-a" },
    netns: "/run/netns/a",
    addresses: [],
    search: [{ name: POOL.name, cidr: RANGE }],
  });
  node.releases = true;
  await node.ask("DEL", "c9");
  t.same(await node.held(), ["10.40.0.3 c8"]);
});

t.test("DEL with a configuration that nobody can read succeeds, and warns", async (t) => {
  const node = new Node(t);
  await node.ask("DEL", "c1", { ipam: { type: "railnet-ipam", range: 7 } });
  t.same(node.warnings, ["DEL of an unknown attachment with an unusable configuration"]);
  t.notOk(node.done.some((one) => one.startsWith("release")));
});

const listing = (...ids: string[]) => ({
  "cni.dev/valid-attachments": ids.map((containerID) => ({ containerID, ifname: "net1" })),
});

t.test("GC goes on past one that it cannot collect, and names it", async (t) => {
  const node = new Node(t);
  for (const id of ["c1", "c2", "c3"])
    await node.ask("ADD", id, {}, { CNI_ARGS: `K8S_POD_NAMESPACE=a;K8S_POD_NAME=${id}` });
  const { host } = node;
  const failing: IpamHost = {
    ...host,
    lock: async (name, what) => {
      if (what.includes("c2")) throw new Error("planted");
      return await host.lock(name, what);
    },
  };
  const call = callOf("GC", "", listing("c3"), {});
  await t.rejects((ipam.verbs.GC as (call: Call, host: IpamHost) => Promise<void>)(call, failing), {
    code: 100,
    message: /^cannot collect 1 attachments: .*planted/,
  });
  t.same((await node.held()).map((one) => one.split(" ")[1]), ["c2", "c3"]); // biome-ignore format: one row
});

t.test("GC spares what its own DEL has taken meanwhile, and a rail by the name that the runtime knows", async (t) => {
  const node = new Node(t);
  await node.ask("ADD", "c1");
  node.journal.update(node.record("c1")!, { via: "eth7" });
  await node.ask("GC", "", { "cni.dev/valid-attachments": [{ containerID: "c1", ifname: "eth7" }] });
  t.same(await node.held(), ["10.40.0.1 c1"], "listed as eth7");
  const { host } = node;
  const late: IpamHost = {
    ...host,
    lock: async (name, what) => {
      node.journal.forget(node.record("c1")!);
      return await host.lock(name, what);
    },
  };
  await (ipam.verbs.GC as (call: Call, host: IpamHost) => Promise<void>)(callOf("GC", "", listing(), {}), late);
  t.notOk(node.done.some((one) => one.startsWith("release")), "there was nothing left to do"); // biome-ignore format: one row
});

t.test("STATUS says that the store cannot be used; what is no trouble of the store stays what it is", async (t) => {
  const node = new Node(t);
  await node.ask("STATUS", "");
  node.store.check = failing("unavailable");
  await t.rejects(node.ask("STATUS", ""), { code: 50, message: "cannot: planted" });
  await t.rejects(node.ask("STATUS", "", { ipam: { type: "railnet-ipam", range: 7 } }), { code: 6 });
});

// Tenants who try everything, and an operator who changes and deletes RailNetworks under their pods: on doubles of all drivers, against
// an expectation written from docs/rail-objects.md. What a pod has stays as it got it, and comes home as it was.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { writeNetworks } from "../../../daemonset/rail-network/file.ts";
import { writeGoverned } from "../../../daemonset/rail-network/governed.ts";
import { type FollowedNetwork, listRails } from "../../../daemonset/rail-network/listed.ts";
import { selectPfs } from "../../../daemonset/rails/select.ts";
import { howToKeep, seedsOf } from "../../../lab/seed.ts";
import { Random } from "../../vm/attach/support/random.ts";
import { DoubleNode, type Pod } from "./support/node.ts";
import { PROFILES, type Profile } from "./support/profiles.ts";

const SEEDS = seedsOf(Number(process.env["RAILNET_TENANT_RUNS"] ?? 8));
const EVENTS = 40;
const VFS = 5;
const PF = { pci: "0000:a0:00.0", name: "ens1" };
const NAMESPACES = ["team-a", "team-b"];
t.setTimeout(600_000); // on a busy machine

/** A RailNetwork as the operator wrote it: one rail of some VFs. */
interface Wanted {
  readonly name: string;
  readonly rail: string;
  readonly resource: string;
  readonly first: number;
  readonly last: number;
  /** Absent: it gives nothing to pods. */
  readonly pods?: { readonly namespaces: readonly string[] | undefined; readonly vlan: number; readonly allow: readonly string[] }; // biome-ignore format: one row
}

interface Life {
  readonly pod: Pod;
  readonly index: number;
  readonly config: object;
  readonly result: unknown;
  /** The VF before, and what its PF shows while the pod has it. */
  readonly before: object;
  readonly state: object;
}

class World {
  readonly node: DoubleNode;
  readonly said: string[] = [];
  /** How often an ADD was taken, and refused. */
  readonly count = { taken: 0, refused: 0 };
  readonly #t: Test;
  readonly #random: Random;
  readonly #kubelet: string;
  #networks: readonly Wanted[] = [];
  /** What the kubelet gave: VF to pod and resource. */
  readonly #given = new Map<number, { uid: string; resource: string }>();
  readonly #lives: Life[] = [];
  #uids = 0;

  constructor(t: Test, profile: Profile, seed: number) {
    this.#t = t;
    this.node = new DoubleNode(profile, { vfs: VFS });
    this.#random = new Random(seed);
    this.#kubelet = join(this.node.dir, "kubelet");
    mkdirSync(this.#kubelet);
    this.#operate();
    this.#note();
  }

  async event(): Promise<void> {
    const random = this.#random;
    const happens = [
      ...Array<() => unknown>(5).fill(() => this.#attach()),
      () => this.#operate(),
      () => this.#detach(),
      () => this.node.reconcile(),
    ];
    await random.of(happens)();
    this.node.settle();
    await this.#look();
  }

  async end(): Promise<void> {
    while (this.#lives.length > 0) await this.#detach();
  }

  /** The right one, but for one in four. */
  #mostly<T>(right: T, others: readonly T[]): T {
    return this.#random.oneIn(4) ? this.#random.of(others) : right;
  }

  /** The operator writes other RailNetworks, or none; the agent follows. */
  #operate(): void {
    const random = this.#random;
    const one = (name: string): Wanted => {
      const first = random.below(VFS);
      const pods = { namespaces: random.of([undefined, [], ["team-a"], NAMESPACES]), vlan: random.of([0, 7, 9]), allow: random.of([[], ["mac"], ["mac", "trust"]]) }; // biome-ignore format: one row
      const rail = random.of(["rail0", name]);
      return { name, rail, resource: random.of([`railnet.io/${rail}`, "railnet.io/rail0"]), first, last: Math.min(VFS - 1, first + random.below(3)), ...(random.below(5) > 0 && { pods }) }; // biome-ignore format: one row
    };
    this.#networks = ["ishikari", "teshio"].filter(() => random.below(5) > 0).map(one);
    this.#say(`operate ${JSON.stringify(this.#networks)}`);
    const followed = this.#networks.map(({ name, rail, resource, first, last, pods }): FollowedNetwork => {
      const { namespaces, vlan = 0, allow = [] } = pods ?? {};
      return {
        name,
        rails: [{ name: rail, resource, pf: { names: [`ens1#${first}-${last}`] } }],
        ...(pods && { pods: { namespaces: namespaces ? { matchLabels: { rails: "yes" } } : {}, settings: { vlan }, allow } }), // biome-ignore format: one row
        ...(namespaces && { namespaces }),
      };
    });
    const networks = join(this.node.dir, "state/rail-networks.json");
    writeNetworks(networks, followed);
    const { here } = selectPfs(listRails(followed).rails, [PF]);
    writeGoverned(here, { networks }, { stateDir: join(this.node.dir, "state"), devicePlugins: this.#kubelet });
  }

  /** Of two that want one name, resource or VF the older has it, with all its VFs. */
  #accepted(): readonly Wanted[] {
    const accepted: Wanted[] = [];
    for (const one of this.#networks)
      if (!accepted.some((other) => other.rail === one.rail || other.resource === one.resource || (other.first <= one.last && one.first <= other.last))) accepted.push(one); // biome-ignore format: one row
    return accepted;
  }

  /** The kubelet gives a VF that no pod of its has, or none, and the tenant's network says something. */
  async #attach(): Promise<void> {
    const random = this.#random;
    const index = random.below(VFS);
    const of = this.#accepted().find(({ first, last }) => first <= index && index <= last);
    const uid = `u${this.#uids++}`;
    const resource = this.#mostly(of?.resource ?? "railnet.io/rail0", ["railnet.io/rails", "other.io/x"]);
    const isFree = !this.#lives.some((life) => life.index === index);
    if (isFree && random.below(6) > 0) this.#given.set(index, { uid, resource });
    this.#note();
    const right = of ? { network: of.name, rail: of.rail } : {};
    const references = [{}, { network: "ishikari", rail: "rail0" }, { network: "teshio", rail: "teshio" }, { ...right, RAIL: "rail9" }]; // biome-ignore format: one row
    const keys = [{ mac: "02:66:00:00:00:05" }, { trust: "on" }, { Trust: "on" }, { vlan: 5 }, { pinMac: false }, { spoofchk: "off" }, { rails: [] }]; // biome-ignore format: one row
    const own = this.#mostly<object>({}, keys);
    const config = { ipam: undefined, ...this.#mostly<object>(right, references), ...own };
    const namespace = random.of([...NAMESPACES, undefined]);
    const says = this.#mostly(uid, ["u0", ""]);
    const args = [`K8S_POD_UID=${says}`, "K8S_POD_NAME=x", ...(namespace ? [`K8S_POD_NAMESPACE=${namespace}`] : [])];
    const want = this.#mayHave(index, of, config, namespace, says, isFree);
    const before = this.node.picture(index);
    const pod = this.node.pod();
    this.#say(`add ${index} ${JSON.stringify({ config, namespace, says, given: this.#given.get(index), want })}`);
    try {
      const result = await this.node.add(pod, config, index, { CNI_ARGS: `IgnoreUnknown=1;${args.join(";")}` });
      this.node.settle();
      this.count.taken++;
      const state = this.node.picture(index).state;
      this.#lives.push({ pod, index, config, result, before, state });
      if (want !== true) throw new Error(`it was taken, and should not be: ${want}`);
      if (!of?.pods) return;
      const trust = "trust" in own || "Trust" in own;
      this.#t.match(state, { spoofchk: true, trust, vlan: of.pods.vlan }, "as the RailNetwork says", {
        said: this.said,
      });
      if ("mac" in own) this.#t.equal(this.node.vf(index).link.mac, own.mac);
    } catch (error) {
      if (want === true || !("code" in (error as object))) throw error;
      this.count.refused++;
      this.#t.same(this.node.picture(index), before, "nothing was done", { said: this.said });
    }
  }

  /** True, or why it may not. */
  #mayHave(index: number, of: Wanted | undefined, config: object, namespace: string | undefined, says: string, isFree: boolean): true | string {
    const { network, rail, ipam: _, ...rest } = config as Record<string, unknown>;
    const own = Object.keys(rest).map((key) => (key === "Trust" ? "trust" : key));
    if (!isFree) return "another pod has it";
    if (!of?.pods) return network === undefined && rail === undefined && !own.includes("RAIL") && !own.includes("rails") ? true : "it is of no RailNetwork, or a rail that is no PF's";
    // An empty list of rails says nothing, and a reference decides them.
    if (network !== of.name || rail !== of.rail || own.includes("RAIL")) return "another network or rail";
    if (own.some((key) => key !== "rails" && !of.pods!.allow.includes(key))) return "a key that is not allowed";
    if (of.pods.namespaces && !of.pods.namespaces.includes(namespace ?? "")) return "the namespace";
    const given = this.#given.get(index);
    if (says === "" || given?.uid !== says || ![of.resource, "railnet.io/rails"].includes(given.resource)) return "the kubelet did not give it";
    return true;
  } // biome-ignore format: rows

  async #detach(): Promise<void> {
    if (this.#lives.length === 0) return;
    const [life] = this.#lives.splice(this.#random.below(this.#lives.length), 1) as [Life];
    this.#say(`del ${life.index}`);
    await this.node.del(life.pod, life.config, life.index);
    this.node.settle();
    const { state, pinned: _, ...after } = this.node.picture(life.index);
    const { state: was, pinned: __, ...before } = life.before as ReturnType<DoubleNode["picture"]>;
    this.#t.same(after, before, "home, as it was", { said: this.said });
    this.#t.same({ ...state, mac: "" }, { ...was, mac: "" }, "at the PF, too", { said: this.said });
    this.#given.delete(life.index);
  }

  /** Whatever happened, pods that run have what they had. */
  async #look(): Promise<void> {
    for (const { pod, index, config, result, state } of this.#lives) {
      const now = this.node.picture(index);
      this.#t.same([now.isHome, now.state], [false, state], `VF ${index} is its pod's, as it got it`, {
        said: this.said,
      });
      await this.node.check(pod, config, result, index);
    }
  }

  #note(): void {
    const PodDeviceEntries = [...this.#given].map(([index, { uid, resource }]) => ({
      ...{ PodUID: uid, ContainerName: "c", ResourceName: resource },
      DeviceIDs: { "-1": [this.node.vf(index).link.pci] },
    }));
    const text = JSON.stringify({ Data: { PodDeviceEntries, RegisteredDevices: {} }, Checksum: 1 });
    writeFileSync(join(this.#kubelet, "kubelet_internal_checkpoint"), text);
  }

  #say(what: string): void {
    this.said.push(what);
  }
}

for (const [name, profile] of Object.entries(PROFILES))
  t.test(`${name}: tenants get what a RailNetwork gives them, whatever they and its operator do`, async (t) => {
    const sum = { taken: 0, refused: 0 };
    for (const seed of SEEDS) {
      const world = new World(t, profile, seed);
      using _node = world.node;
      try {
        for (let i = 0; i < EVENTS; i++) await world.event();
        await world.end();
      } catch (error) {
        t.fail(`seed ${seed}: ${(error as Error).message}`, { said: world.said, keep: howToKeep(seed) });
      }
      sum.taken += world.count.taken;
      sum.refused += world.count.refused;
    }
    t.comment(JSON.stringify(sum));
    t.ok(sum.taken > SEEDS.length && sum.refused > SEEDS.length, "both are tried");
  });

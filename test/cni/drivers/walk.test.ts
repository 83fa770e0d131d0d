// Random lives of pods on each driver, with what drivers, administrators and runtimes do in between. Afterwards all is as it was.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { howToKeep, seedsOf } from "../../../lab/seed.ts";
import { Random } from "../../vm/attach/support/random.ts";
import { DoubleNode, type Pod } from "./support/node.ts";
import { NO_MAC, PROFILES, type Profile } from "./support/profiles.ts";

/** More of both: by hand, or `npm run soak`. */
const one = process.env["RAILNET_DRIVERS_SEED"];
const SEEDS = one ? [Number(one)] : seedsOf(Number(process.env["RAILNET_DRIVERS_RUNS"] ?? 8));
const EVENTS = Number(process.env["RAILNET_DRIVERS_EVENTS"] ?? 14);
const VFS = 3;
t.setTimeout(600_000); // on a busy machine

/** Of events, so many are ADDs of sets where there are some. */
const SET_EVENTS = [1, 2, 3];

/** What an ADD may answer on a node where all this happens: nothing that is a defect of ours. */
const EXPECTED = [5, 7, 11, 101, 102, 105];

interface Life {
  readonly pod: Pod;
  /** Of its VFs. */
  readonly indices: readonly number[];
  readonly config: object;
  attached: boolean;
}

class Walk {
  readonly node: DoubleNode;
  readonly said: string[] = [];
  readonly #random: Random;
  readonly #lives: Life[] = [];
  readonly #hasSets: boolean;
  #renamed = 0;

  /** @param hasSets pods come with several VFs at once, too. */
  constructor(profile: Profile, seed: number, hasSets: boolean) {
    this.#hasSets = hasSets;
    this.node = new DoubleNode(profile, { vfs: VFS });
    this.#random = new Random(seed);
  }

  async event(): Promise<void> {
    const random = this.#random;
    const { node } = this;
    const index = random.below(VFS);
    const vf = node.vf(index);
    const life = this.#lives.length > 0 ? random.of(this.#lives) : undefined;
    const happens: [string, () => unknown][] = [
      [`add ${index}`, () => this.#add([index])],
      [`add ${index}`, () => this.#add([index])],
      ...(this.#hasSets ? SET_EVENTS : []).map((): [string, () => unknown] => ["add set", () => this.#addSet(index)]),
      ["del", () => life && this.#del(life)],
      ["del", () => life && this.#del(life)],
      ["reconcile", () => node.reconcile()],
      [`VF ${index} in reset`, () => node.nic.resetFor(vf, random.of([100, 3_000, 60_000]))],
      ["VFs are made", () => (node.nic.makingUntilMs = node.kernel.clock.nowMs() + random.of([500, 20_000]))],
      ["cable", () => (node.nic.carrier = !node.nic.carrier)],
      ["time", () => node.kernel.clock.pass(random.of([500, 10_000, 120_000]))],
      ["PF renamed", () => node.renamePf(`ens${10 + this.#renamed++}`)],
      ["namespace ends", () => life && this.#endNamespace(life)],
      ["driver recovers", () => life?.attached && this.#recover(life)],
      ["a step fails", () => this.#failOnce()],
    ];
    const [what, act] = random.of(happens);
    this.said.push(what);
    await act();
  }

  /** All ends: the cable is in, no VF is in reset, every pod gets its DEL. */
  async end(): Promise<void> {
    const { node } = this;
    node.onStep = () => {};
    node.nic.carrier = true;
    node.kernel.clock.pass(300_000);
    await node.reconcile();
    for (const life of [...this.#lives]) await this.#del(life);
    for (let run = 0; run < 4; run++) {
      node.kernel.clock.pass(60_000);
      await node.reconcile();
    }
  }

  #config(): object {
    const random = this.#random;
    const some: object[] = [
      { mac: `02:66:00:00:00:0${random.below(9)}` },
      { vlan: random.below(3) * 50 },
      { trust: random.of(["on", "off"]) },
      { spoofchk: random.of(["on", "off"]) },
      { max_tx_rate: 500 },
      { link_state: random.of(["auto", "enable", "disable"]) },
      { mtu: 9000 },
    ];
    return Object.assign({}, ...some.filter(() => random.oneIn(3)));
  }

  /** Of all VFs but one, or of all, in any order. */
  async #addSet(first: number): Promise<void> {
    const all = Array.from({ length: VFS }, (_, i) => (first + i) % VFS);
    const indices = all.slice(0, this.#random.of([VFS - 1, VFS]));
    await this.#add(indices, {
      deviceID: indices.map((i) => this.node.vf(i).link.pci).join(),
      rails: indices.map(() => this.#config()),
      mac: undefined,
    });
  }

  async #add(indices: readonly number[], set: object = {}): Promise<void> {
    const config = { ...this.#config(), ...set };
    const life: Life = { pod: this.node.pod(), indices, config, attached: false };
    this.said.push(`  ${life.pod.id} with ${JSON.stringify(life.config)}`);
    this.#lives.push(life);
    try {
      await this.node.add(life.pod, life.config, indices[0]);
      life.attached = true;
    } catch (error) {
      const { code, message } = error as Error & { code?: number };
      this.said.push(`  ${code}: ${message}`);
      if (!EXPECTED.includes(Number(code)) && !/E[A-Z]+|fault/.test(message)) throw error;
    } finally {
      this.node.onStep = () => {};
    }
  }

  /** Whatever the driver does, a runtime hears no error. */
  async #del(life: Life): Promise<void> {
    this.said.push(`  ${life.pod.id}`);
    this.#lives.splice(this.#lives.indexOf(life), 1);
    this.node.onStep = () => {};
    await this.node.del(life.pod, life.config, life.indices[0]);
  }

  #endNamespace(life: Life): void {
    if (!life.attached) return;
    life.attached = false;
    this.node.removePod(life.pod);
  }

  #recover({ indices, pod }: Life): void {
    const vf = this.node.vf(this.#hasSets ? this.#random.of(indices) : indices[0]!);
    if (![...pod.namespace.links.values()].includes(vf.link)) return;
    this.node.kernel.remake(vf, `eth${this.#random.below(90) + 7}`, "02:77:00:00:00:07");
  }

  #failOnce(): void {
    const at = this.#random.of(["add-journalled", "add-pf-set", "add-moved", "add-configured"]);
    this.said.push(`  at ${at}`);
    this.node.onStep = (step) => {
      if (step === at) throw new Error("fault");
    };
  }
}

const list = (node: DoubleNode, dir: string): string[] => {
  try {
    return readdirSync(join(node.dir, "state", dir));
  } catch {
    return [];
  }
};

/** What cannot be told back: mlx5 keeps an administrator's MAC once there was one, ice does not tell that there was one. */
function steady({ nic }: DoubleNode, { pinned, state, ...rest }: ReturnType<DoubleNode["picture"]>) {
  if (nic.profile.guidFromAdminMac)
    return { ...rest, state: { ...state, mac: state.mac === rest.mac ? NO_MAC : state.mac } };
  return { ...rest, state, ...(nic.profile.driver !== "ice" && { pinned }) };
}

const kinds = (Object.entries(PROFILES) as [string, Profile][]).flatMap(([name, profile]) => [
  { name, profile, hasSets: false },
  { name: `${name}, also with sets`, profile, hasSets: true },
]);

for (const { name, profile, hasSets } of kinds)
  t.test(`${name}: ${SEEDS.length} random walks of ${EVENTS} events leave all as it was`, async (t) => {
    for (const seed of SEEDS) {
      const walk = new Walk(profile, seed, hasSets);
      using node = walk.node;
      const picture = () => Array.from({ length: VFS }, (_, i) => steady(node, node.picture(i)));
      const before = picture();
      try {
        for (let event = 0; event < EVENTS; event++) await walk.event();
        await walk.end();
      } catch (error) {
        t.comment(`RAILNET_DRIVERS_SEED=${seed}, ${howToKeep(seed)}\n${walk.said.join("\n")}`);
        throw error;
      }
      if (
        JSON.stringify(picture()) === JSON.stringify(before) &&
        list(node, "attachments").length + list(node, "owed").length === 0
      )
        continue;
      t.comment(`RAILNET_DRIVERS_SEED=${seed}, ${howToKeep(seed)}\n${walk.said.join("\n")}`);
      t.same(picture(), before, `seed ${seed}: every VF is as it was`);
      t.same([...list(node, "attachments"), ...list(node, "owed")], [], `seed ${seed}: nothing is remembered`);
    }
    t.pass("all is as it was, each time");
  });

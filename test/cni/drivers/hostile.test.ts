// Random things that tenants do to their links, between and during our calls.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import t from "tap";
import { howToKeep, seedsOf } from "../../../lab/seed.ts";
import { Random } from "../../vm/attach/support/random.ts";
import type { DoubleLink } from "./support/nic.ts";
import { DoubleNode, type Pod } from "./support/node.ts";
import { PROFILES } from "./support/profiles.ts";

/** More of both: `npm run soak`, or by hand. */
const one = process.env["RAILNET_HOSTILE_SEED"];
const SEEDS = one ? [Number(one)] : seedsOf(Number(process.env["RAILNET_HOSTILE_RUNS"] ?? 60));
const STEPS = 30;
t.setTimeout(600_000); // on a busy machine

const NAMES = [
  "net1",
  "ens1",
  "ens1v0",
  "ens1v1",
  "ens1v2",
  "ens1v3",
  "x1",
  "x2",
  "dev7",
  "vf0000a0020",
  "vf0000a0021",
];
type Space = Pod["namespace"];

/** Two hostile pods with a VF each, a nested namespace of theirs, and a third pod that minds its own business. */
class Scene {
  readonly node = new DoubleNode(PROFILES.igb, { vfs: 4 });
  readonly pods: readonly Pod[] = [this.node.pod(), this.node.pod(), this.node.pod()];
  readonly #random: Random;
  readonly said: string[] = [];
  inner: Space | undefined = this.#newInner();

  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  #newInner(): Space {
    return this.node.kernel.addNamespace(join(this.node.dir, `netns/inner${this.said.length}`));
  }

  /** What belongs to the tenants and is still there. */
  #spaces(): Space[] {
    return [this.pods[0]!.namespace, this.pods[1]!.namespace, ...(this.inner ? [this.inner] : [])];
  }

  step(): void {
    const random = this.#random;
    const space = random.of(this.#spaces());
    const links = [...space.links.values()];
    const link = links.length > 0 ? random.of(links) : undefined;
    const free = (name: string) => !links.some((l) => l.name === name || l.altnames.includes(name));
    const name = random.of(NAMES);
    const vfs = this.node.nic.vfs.map((vf) => vf.link.pci);
    const alias = `railnet ${random.of([...vfs, "0000:a0:00.0"])} ${random.of(NAMES)} 02:66:66:66:66:66 576`;
    const things: [string, () => void][] = [
      [`name ${name}`, () => link && free(name) && Object.assign(link, { name })],
      [`alias ${alias}`, () => link && Object.assign(link, { alias })],
      ["no alias", () => link && Object.assign(link, { alias: "" })],
      [`altname ${name}`, () => link && free(name) && link.altnames.push(name)],
      ["MTU", () => link && Object.assign(link, { mtu: 576 + random.below(500) })],
      ["MAC", () => link && Object.assign(link, { mac: `02:66:00:00:00:0${random.below(9)}` })],
      [`dummy ${name}`, () => free(name) && this.#addDummy(space, name, alias, links)],
      ["move", () => link && this.#move(link, space, random.of(this.#spaces()))],
      ["nested namespace", () => this.#replaceInner()],
    ];
    const [what, act] = random.of(things);
    this.said.push(`${link?.name ?? "-"}: ${what}`);
    act();
  }

  #addDummy(space: Space, name: string, alias: string, links: readonly DoubleLink[]): void {
    const index = 98 + this.#random.below(12);
    if (links.some((l) => l.index === index)) return;
    this.node.kernel.addVirtual(space, { index, name, mac: "02:66:00:00:00:77", alias });
  }

  #move(link: DoubleLink, from: Space, to: Space): void {
    if (from === to) return;
    try {
      this.node.kernel.move(link, from, to);
    } catch {} // the name is taken there
  }

  #replaceInner(): void {
    if (this.inner) this.node.kernel.removeNamespace(this.inner);
    this.inner = this.inner && this.#random.oneIn(2) ? undefined : this.#newInner();
  }

  /** Ends in any order: DEL with the namespace, without it, or the reconciler first. */
  async end(): Promise<void> {
    const order = this.#random.oneIn(2) ? [0, 1, 2] : [2, 1, 0];
    for (const i of order) {
      const pod = this.pods[i]!;
      if (i < 2 && this.#random.oneIn(3)) this.node.removePod(pod);
      if (this.#random.oneIn(3)) await this.node.reconcile();
      await this.node.del(pod, {}, i);
      for (let left = this.#random.below(4); left > 0; left--) this.step();
    }
    if (this.inner) this.node.kernel.removeNamespace(this.inner);
    for (const { namespace } of this.pods) this.node.kernel.removeNamespace(namespace);
    for (let run = 0; run < 3; run++) await this.node.reconcile();
  }
}

const list = (node: DoubleNode, dir: string): string[] => {
  try {
    return readdirSync(join(node.dir, "state", dir));
  } catch {
    return [];
  }
};

t.test(
  `${SEEDS.length} times ${STEPS} random things of hostile pods (RAILNET_HOSTILE_SEED=${SEEDS.at(-1)} is the last)`,
  async (t) => {
    for (const seed of SEEDS) {
      if (!t.passing()) break;
      const scene = new Scene(seed);
      using node = scene.node;
      const picture = () => [0, 1, 2, 3].map((i) => node.picture(i));
      const links = () => [...node.kernel.host.links.values()].map(({ name }) => name).sort();
      const before = [picture(), links(), { ...node.nic.pf }];
      for (const [i, pod] of scene.pods.entries()) await node.add(pod, {}, i);
      const [good, idle, pf] = [{ ...node.vf(2).link }, node.picture(3), { ...node.nic.pf }];
      for (let step = 0; step < STEPS; step++) {
        scene.step();
        if (step % 10 === 9) await node.reconcile();
      }
      const there = [{ ...node.vf(2).link }, node.picture(3), { ...node.nic.pf }];
      await scene.end();
      const after = [picture(), links(), { ...node.nic.pf }];
      const left = [...list(node, "attachments"), ...list(node, "owed")];
      if (isDeepStrictEqual([there, after, left], [[good, idle, pf], before, []])) continue;
      t.comment(`${howToKeep(seed)}\nseed ${seed}:\n${scene.said.join("\n")}`);
      t.same(there, [good, idle, pf], `seed ${seed}: while the pods live, all others are as they were`);
      t.same(after, before, `seed ${seed}: afterwards the host is as it was`);
      t.same(left, [], `seed ${seed}: nothing is remembered`);
    }
    t.pass("all is as it was, each time");
  },
);

// The stand-alone railnet-ipam with its addresses in a directory dies by kill -9 between any two of its changes to the disk:
// not at steps that it names itself, but at each system call. The files are read by the test alone.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import { AddressHost, type Sandbox } from "./support/address-host.ts";
import { type Death, Killer } from "./support/die-at.ts";

const root = mkdtempSync(join(tmpdir(), "railnet-walk-"));
t.teardown(() => rmSync(root, { recursive: true }));
const killer = new Killer(root);

const sandbox = (pod: string, id = `${pod}-sandbox`): Sandbox => ({ pod, id });
const [living, newcomer, pod, newer] = [sandbox("living"), sandbox("newcomer"), sandbox("pod"), sandbox("pod", "pod-newer")]; // biome-ignore format: one line
const others = [sandbox("other-1"), sandbox("other-2")];

/** How the runtime goes on. @returns which of the dead call's sandboxes live then. */
type GoOn = (host: AddressHost) => Promise<readonly Sandbox[]>;

const ends = (...all: readonly Sandbox[]): GoOn => async (host) => {
  for (const one of all) await host.call("DEL", one);
  return [];
}; // biome-ignore format: a verb a line
const comes = (one: Sandbox, ...ended: readonly Sandbox[]): GoOn => async (host) => {
  await host.call("ADD", one);
  await ends(...ended)(host);
  return [one];
}; // biome-ignore format: a verb a line
const collects: GoOn = async (host) => {
  await host.call("GC", living, [living, newcomer]);
  return [];
};

/** A call that is killed, who was there before, and what may follow. */
interface Scene {
  readonly verb: "ADD" | "DEL" | "GC";
  readonly of: Sandbox;
  readonly there: readonly Sandbox[];
  readonly after: Readonly<Record<string, GoOn>>;
}

const SCENES: Readonly<Record<string, Scene>> = {
  "ADD": { verb: "ADD", of: pod, there: [], after: { DEL: ends(pod), ADD: comes(pod), GC: collects } },
  "a second ADD": { verb: "ADD", of: pod, there: [pod], after: { DEL: ends(pod), ADD: comes(pod) } },
  "ADD of a pod's newer sandbox": { verb: "ADD", of: newer, there: [pod], after: { "DEL of both": ends(newer, pod), "DEL of the older one first": ends(pod, newer), "ADD, and DEL of the older one": comes(newer, pod) } },
  "DEL": { verb: "DEL", of: pod, there: [pod], after: { DEL: ends(pod), ADD: comes(pod), GC: collects } },
  "GC": { verb: "GC", of: living, there: others, after: { GC: collects, DEL: ends(...others) } },
}; // biome-ignore format: rows

const lived = ({ before }: Death) => before === "nothing";
const namesOf = (all: readonly Sandbox[]) => all.map(({ pod, id }) => `default/${pod} ${id}`).sort();

/** Goes on in every way from what a dead call left, after another pod got an address of those that are free by now. */
async function judge(t: Test, host: AddressHost, { after }: Scene, when: string): Promise<void> {
  const claims = host.journal().map(({ claim }) => claim);
  t.same(host.held().filter((line) => !claims.includes(line)), [], `${when}: what is held is in the journal`); // biome-ignore format: one line
  await host.call("ADD", newcomer);
  const kept = host.held().filter((line) => line.includes(living.id) || line.includes(newcomer.id));
  const bringBack = host.keep();
  for (const [verbs, goOn] of Object.entries(after)) {
    bringBack();
    const alive = [living, newcomer, ...(await goOn(host))];
    const held = host.held();
    t.same(held.map((line) => line.replace(/^\S+ /, "")).sort(), namesOf(alive), `${when}, then ${verbs}: one address for who lives, none for others`); // biome-ignore format: one line
    t.ok(kept.every((line) => held.includes(line)), `${when}, then ${verbs}: the others keep theirs`); // biome-ignore format: one line
    t.same(host.journal().map(({ phase, claim }) => `${phase} ${claim}`).sort(), held.map((line) => `held ${line}`).sort(), `${when}, then ${verbs}: so says the journal`); // biome-ignore format: one line
  }
}

for (const [what, scene] of Object.entries(SCENES))
  t.test(`railnet-ipam is killed anywhere in ${what}`, async (t) => {
    using host = new AddressHost(root, killer);
    for (const one of [living, ...scene.there]) await host.call("ADD", one);
    const bringBack = host.keep();
    const seen = new Set<string>();
    for (let nth = 1; ; nth++) {
      bringBack();
      const death = await host.killed(nth, scene.verb, scene.of, scene.verb === "GC" ? [living] : undefined);
      if (lived(death)) break;
      t.equal(death.exit, 137);
      const left = host.picture();
      if (!seen.has(left)) await judge(t, host, scene, `killed before change ${nth}, ${death.before}`);
      seen.add(left);
    }
    t.ok(seen.size >= 5, `${seen.size} states of the disk`);
  });

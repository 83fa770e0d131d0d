import type { Test } from "tap";
import type { AddressHost, Call, Sandbox } from "./address-host.ts";

const sandbox = (pod: string, id = `${pod}-sandbox`): Sandbox => ({ pod, id });
const living = sandbox("living");
const [newcomer, pod, newer] = [sandbox("newcomer"), sandbox("pod"), sandbox("pod", "pod-newer")];
const others = [sandbox("other-1"), sandbox("other-2")];

/** How the runtime continues. @returns which of the dead call's sandboxes are then running. */
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

/** A call that does not come to its end, who was there before, and what may follow. */
export interface Scene {
  readonly call: Call;
  readonly there: readonly Sandbox[];
  /** Those among them that keep running in any case. */
  readonly bystanders: readonly Sandbox[];
  readonly after: Readonly<Record<string, GoOn>>;
}

export const SCENES: Readonly<Record<string, Scene>> = {
  "the first ADD of a host": { call: ["ADD", pod], there: [], bystanders: [], after: { DEL: ends(pod), ADD: comes(pod) } },
  "ADD": { call: ["ADD", pod], there: [living], bystanders: [living], after: { DEL: ends(pod), ADD: comes(pod), GC: collects } },
  "a second ADD": { call: ["ADD", pod], there: [living, pod], bystanders: [living], after: { DEL: ends(pod), ADD: comes(pod) } },
  "ADD of a pod's newer sandbox": { call: ["ADD", newer], there: [living, pod], bystanders: [living], after: { "DEL of both": ends(newer, pod), "DEL of the older one first": ends(pod, newer), "ADD, and DEL of the older one": comes(newer, pod) } },
  "DEL": { call: ["DEL", pod], there: [living, pod], bystanders: [living], after: { DEL: ends(pod), ADD: comes(pod), GC: collects } },
  "GC": { call: ["GC", living, [living]], there: [living, ...others], bystanders: [living], after: { GC: collects, DEL: ends(...others) } },
}; // biome-ignore format: rows

const namesOf = (all: readonly Sandbox[]) => all.map(({ pod, id }) => `default/${pod} ${id}`).sort();

/** Continues in every way from what an incomplete call left, after another pod has got an address that is free by then. */
export async function judge(t: Test, host: AddressHost, { after, bystanders }: Scene, when: string): Promise<void> {
  const claims = host.journal().map(({ claim }) => claim);
  t.same(
    host.held().filter((line) => !claims.includes(line)),
    [],
    `${when}: what is held is in the journal`,
  );
  await host.call("ADD", newcomer);
  const stay = [...bystanders, newcomer];
  const kept = host.held().filter((line) => stay.some(({ id }) => line.includes(id)));
  const bringBack = host.keep();
  for (const [verbs, goOn] of Object.entries(after)) {
    bringBack();
    const alive = [...stay, ...(await goOn(host))];
    const held = host.held();
    t.same(
      held.map((line) => line.replace(/^\S+ /, "")).sort(),
      namesOf(alive),
      `${when}, then ${verbs}: one address for who lives, none for others`,
    );
    t.ok(
      kept.every((line) => held.includes(line)),
      `${when}, then ${verbs}: the others keep theirs`,
    );
    t.same(
      host
        .journal()
        .map(({ phase, claim }) => `${phase} ${claim}`)
        .sort(),
      held.map((line) => `held ${line}`).sort(),
      `${when}, then ${verbs}: so says the journal`,
    );
  }
}

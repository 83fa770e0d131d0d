import { ApiServer } from "../../../../lab/cluster/api-server.ts";
import { type Answer, ClusterNode } from "../../../../lab/cluster/cluster-node.ts";
import { installCrds } from "../../../../lab/cluster/install.ts";
import type { Json, RawClient } from "../../../../lab/cluster/raw.ts";
import { Whereabouts } from "../../../../lab/cluster/whereabouts.ts";
import { until } from "../../../../lab/until.ts";
import type { Objects, PoolShown, Scenario, Step } from "./scenario.ts";

const GROUP = "whereabouts.cni.cncf.io/v1alpha1";
const NODE = "node-a";

/** Which plugin makes the calls. `alone`: our executable by itself; `agent`: it through the agent. */
export type Who = "alone" | "agent" | "whereabouts";
export const EVERYONE: readonly Who[] = ["alone", "agent", "whereabouts"];

/** What a scenario came to. */
export interface Outcome {
  readonly answers: readonly Answer[];
  readonly after: Objects;
  /** `podref ifname containerid` of the reservations: Whereabouts does not write the last. */
  readonly holders: Readonly<Record<string, string>>;
}

/** One API server; every plugin has a namespace of its own in it, as if it were alone. */
export class Cluster implements AsyncDisposable {
  readonly #api: ApiServer;
  readonly #theirs: Whereabouts;

  private constructor(api: ApiServer, theirs: Whereabouts) {
    this.#api = api;
    this.#theirs = theirs;
  }

  static async start(crds: "ours" | "upstream"): Promise<Cluster> {
    const api = await ApiServer.start();
    await installCrds(api.raw, crds);
    for (const name of EVERYONE) {
      await api.raw.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
      const metadata = { name: "railnet-config", namespace: name };
      await api.raw.apply({ apiVersion: "v1", kind: "ConfigMap", metadata, data: { whereabouts: "absent" } });
    }
    return new Cluster(api, await Whereabouts.install(api, api.url, { namespace: "whereabouts", node: NODE }));
  }

  /** Makes the calls of a scenario one after the other, in a namespace that holds nothing but its seed. */
  async run(scenario: Scenario, who: Who): Promise<Outcome> {
    await clear(this.#api.raw, who);
    await this.#seed(scenario, who);
    await using caller = await this.#caller(who);
    const answers: Answer[] = [];
    for (const step of scenario.steps) answers.push(await caller.call(step, configOf(scenario, step)));
    const want = scenario.afterAgent ?? scenario.after ?? {};
    const after = await (who === "agent"
      ? this.#settled({ pools: {}, reservations: {}, ...want })
      : look(this.#api.raw, who));
    return { answers, after, holders: await holders(this.#api.raw, who) };
  }

  async #seed({ seed = {}, slices = {} }: Scenario, namespace: Who): Promise<void> {
    for (const [name, [range, records]] of Object.entries(seed.pools ?? {})) {
      const allocations = Object.fromEntries(Object.entries(records).map(([key, text]) => [key, toRecord(text)]));
      await this.#make("IPPool", namespace, name, { spec: { range, allocations } });
    }
    for (const [name, text] of Object.entries(seed.reservations ?? {})) {
      const [podref, ifname] = text.split(" ");
      await this.#make("OverlappingRangeIPReservation", namespace, name, { spec: { podref, ifname } });
    }
    for (const [name, whole] of Object.entries(slices)) await this.#make("NodeSlicePool", namespace, name, whole);
  }

  async #make(kind: string, namespace: string, name: string, content: Json): Promise<void> {
    const path = pathOf(namespace, `${kind.toLowerCase()}s`);
    await this.#api.raw.post(path, { apiVersion: GROUP, kind, metadata: { name }, ...content });
  }

  async #caller(who: Who): Promise<Caller> {
    if (who === "whereabouts") return { ...this.#whereabouts(), [Symbol.asyncDispose]: async () => {} };
    const folder = this.#api.folder;
    const kubeconfig = this.#api.kubeconfig({ namespace: who });
    const node = new ClusterNode(NODE, { folder, kubeconfig, policy: { aliases: ["whereabouts"] } });
    if (who === "agent") await node.start();
    return {
      async call({ verb, ...sandbox }, config) {
        if (who === "alone") return node.alone(verb, config, sandbox);
        const answer = await node.call(verb, config, sandbox);
        if (verb === "DEL") await until("it is released", () => !isReleasing(node, sandbox));
        return answer;
      },
      [Symbol.asyncDispose]: () => node.stop(),
    };
  }

  #whereabouts(): Pick<Caller, "call"> {
    return {
      call: ({ verb, ...sandbox }, { ipam, ...network }) =>
        this.#theirs.call(verb, this.#theirs.config(ipam, network), sandbox),
    };
  }

  /** The agent writes pool records behind, and releases after DEL has answered: what is there when that is done, or never will be. */
  async #settled(want: Objects): Promise<Objects> {
    let seen: Objects | undefined;
    const isSo = async () => {
      seen = await look(this.#api.raw, "agent");
      return canonical(seen) === canonical(want);
    };
    await until("it is as wanted", isSo).catch(() => {});
    return seen!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#api.stop();
  }
}

interface Caller extends AsyncDisposable {
  call(step: Step, config: Json): Promise<Answer>;
}

/** DEL through the agent is done when it is on disk; the address is free a moment later. */
const isReleasing = (node: ClusterNode, { id, ifname = "net1" }: Omit<Step, "verb">): boolean =>
  node.claims().some(({ owner }) => owner.containerId === id && owner.ifname === ifname);

const configOf = ({ version = "1.0.0", ipam }: Scenario, step: Step): Json => ({
  cniVersion: version,
  name: "net",
  type: "macvlan",
  ipam: { type: "whereabouts", ...(step.ipam ?? ipam) },
});

const pathOf = (namespace: string, plural: string): string => `/apis/${GROUP}/namespaces/${namespace}/${plural}`;

async function clear(raw: RawClient, namespace: string): Promise<void> {
  for (const plural of ["ippools", "overlappingrangeipreservations", "nodeslicepools"])
    await raw.request("DELETE", pathOf(namespace, plural));
  await raw.request("DELETE", `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`);
}

async function look(raw: RawClient, namespace: string): Promise<Objects> {
  const pools = (await raw.list(pathOf(namespace, "ippools"))).map(({ metadata, spec }) => [
    metadata.name,
    showPool(spec),
  ]);
  const reservations = Object.entries(await holders(raw, namespace)).map(([name, text]) => [
    name,
    text.split(" ").slice(0, 2).join(" "),
  ]);
  return { pools: Object.fromEntries(pools), reservations: Object.fromEntries(reservations) };
}

async function holders(raw: RawClient, namespace: string): Promise<Record<string, string>> {
  const all = await raw.list(pathOf(namespace, "overlappingrangeipreservations"));
  const shown = all.map(({ metadata, spec: { podref, ifname = "", containerid = "" } }) => [
    metadata.name,
    `${podref} ${ifname} ${containerid}`,
  ]);
  return Object.fromEntries(shown);
}

/** A record with a member more or less than Whereabouts' is shown as it is. */
function showPool({ range, allocations }: Json): PoolShown {
  const show = (record: Json): string => {
    const { id, podref, ifname = "", ...others } = record;
    return Object.keys(others).length > 0 ? JSON.stringify(record) : `${id} ${podref} ${ifname}`;
  };
  return [range, Object.fromEntries(Object.entries(allocations).map(([key, record]) => [key, show(record)]))];
}

function toRecord(text: string): Json {
  const [id, podref = "", ifname] = text.split(" ");
  return { id, podref, ...(ifname && { ifname }) };
}

/** The same text for the same objects. */
export const canonical = (value: Json): string =>
  JSON.stringify(value, (_, part) =>
    part && typeof part === "object" && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );

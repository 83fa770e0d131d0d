import type { ReadAccess } from "../../../kubernetes/access.ts";
import type { PodSeen } from "./bench-pods.ts";
import type { Chosen } from "./choose.ts";
import { reportOf } from "./facts.ts";
import type { EndOf, MeasuredEnd } from "./measure-plan.ts";
import type { ShellLimits } from "./place.ts";
import { podPlace } from "./pod-place.ts";
import { type PodOrder, railsOfStatus } from "./pods.ts";
import type { Cell } from "./results.ts";
import { type Survey, surveyOf } from "./survey.ts";

type State = MeasuredEnd | { readonly name: string; readonly error: string };

/** The ends of a bench on each side, those that can take part and those that cannot. */
export interface Benched {
  readonly of: EndOf;
  /** What the pods have, in the order of their names. */
  readonly rails: readonly string[];
  readonly errors: readonly string[];
  readonly surveys: ReadonlyMap<string, Survey>;
  readonly states: ReadonlyMap<string, State>;
  factsOf(i: number, after: ReadonlyMap<string, Survey>): { readonly end?: MeasuredEnd; readonly after?: Survey; readonly error?: string }; // biome-ignore format: one row
}

export interface EndsRequest {
  readonly chosen: Chosen;
  readonly sides: readonly Cell["side"][];
  readonly ready: ReadonlyMap<string, PodSeen | string>;
  readonly orders: readonly PodOrder[];
  /** Links of hosts by rail; what is not in it comes from the RailNodes. */
  readonly hostRails: ReadonlyMap<string, string>;
  readonly access: ReadAccess;
  readonly limits: ShellLimits;
}

const STATUS = "k8s.v1.cni.cncf.io/network-status";
const key = (side: Cell["side"], i: number) => `${side} ${i}`;

/** Looks at every pod that runs: what it is on which rail. What fails is that end's error. */
export async function benchedEnds(request: EndsRequest): Promise<Benched> {
  const { chosen, sides } = request;
  const states = new Map<string, State>();
  const asked = (side: Cell["side"], rails: readonly string[]) =>
    Promise.all(chosen.ends.map(async (_, i) => states.set(key(side, i), await endAt(side, i, rails, request))));
  await asked("pod", []);
  const rails = [
    ...new Set([...states.values()].flatMap((end) => ("error" in end ? [] : [...end.rails.keys()]))),
  ].sort();
  if (sides.includes("host")) await asked("host", rails);
  const errors = [...new Set([...states.values()].flatMap((end) => ("error" in end ? [end.error] : [])))];
  const surveys = new Map([...states].flatMap(([name, end]) => ("error" in end ? [] : [[name, end.survey] as const])));
  return {
    of: (side, i) => states.get(key(side, i))!,
    rails,
    errors,
    surveys,
    states,
    factsOf: (i, after) => {
      const end = states.get(key("pod", i))!;
      if ("error" in end) return { error: end.error };
      const again = after.get(key("pod", i));
      return { end, ...(again && { after: again }) };
    },
  };
}

/** For counters that grew; an end that does not answer has none. */
export async function surveyAgain({ states }: Benched, limits: ShellLimits): Promise<Map<string, Survey>> {
  const again = new Map<string, Survey>();
  const ask = async ([name, end]: [string, State]) => {
    if (!("error" in end)) again.set(name, await surveyOf(end.place, limits));
  };
  await Promise.allSettled([...states].map(ask));
  limits.signal.throwIfAborted();
  return again;
}

async function endAt(side: Cell["side"], i: number, rails: readonly string[], request: EndsRequest): Promise<State> {
  const { chosen, orders, ready, access, limits } = request;
  const { name, node } = chosen.ends[i]!;
  const order = side === "pod" ? orders[i]! : orders.find((one) => one.side === "host" && one.node === node)!;
  const pod = ready.get(order.name)!;
  if (typeof pod === "string") return { name, error: `${name} cannot take part: ${pod}` };
  try {
    const links = side === "pod" ? railsOfStatus(pod.metadata.annotations?.[STATUS], `pod ${order.name}`) : hostLinks(node, rails, request); // biome-ignore format: one row
    const place = podPlace(side === "pod" ? name : `${name} (host)`, { namespace: pod.metadata.namespace!, pod: order.name }, access); // biome-ignore format: one row
    return { name, place, rails: links, survey: await surveyOf(place, limits) };
  } catch (error) {
    limits.signal.throwIfAborted();
    return { name, error: `${name} cannot take part: ${(error as Error).message}` };
  }
}

function hostLinks(node: string, rails: readonly string[], { hostRails, chosen }: EndsRequest): Map<string, string> {
  const railNode = chosen.railNodes.get(node);
  const links = rails.map((rail) => [rail, hostRails.get(rail) ?? reportOf(railNode, rail)?.pf] as const);
  return new Map(links.filter((link): link is [string, string] => link[1] !== undefined));
}

import { ArpQuestions } from "../../kernel/arp-questions.ts";
import type { EchoQuestions } from "../../kernel/echo-questions.ts";
import { Admission } from "./admission.ts";
import type { Hops, Verdict } from "./hops.ts";
import type { OwnLook, OwnRail } from "./own.ts";
import type { Peer, PeerHop, Peers } from "./peers.ts";
import type { WantedRoute } from "./plan.ts";
import type { RailReach } from "./rail-reach.ts";
import { isUsed, type Way } from "./way.ts";
import type { Witnesses } from "./witnesses.ts";

/** One way to a peer, with what asks about it. */
export interface Course {
  readonly peer: Peer;
  readonly hop: PeerHop;
  readonly rail: OwnRail;
  /** Its number among the questions of its rail. */
  readonly number: number;
}

/** What is built for one set of rails and peers. */
export interface Running {
  readonly look: OwnLook;
  readonly chosen: Peers;
  readonly courses: readonly Course[];
  /** By the index of the rail's link; and which course each of its questions is about. */
  readonly questions: ReadonlyMap<number, { readonly ask: ArpQuestions; readonly courses: readonly number[] }>;
  readonly byPeer: ReadonlyMap<Peer, readonly number[]>;
  readonly hops: Hops;
  readonly witnesses: Witnesses;
  readonly admission: Admission;
  readonly echo: EchoQuestions;
}

export function coursesOf(peers: readonly Peer[], rails: readonly OwnRail[]): Course[] {
  const numbers = new Map(rails.map((rail) => [rail, 0]));
  return rails.flatMap((rail) =>
    peers.flatMap((peer) => {
      const hop = peer.hops.find((one) => one.rail === rail.name);
      if (!hop) return [];
      const number = numbers.get(rail)!;
      numbers.set(rail, number + 1);
      return [{ peer, hop, rail, number }];
    }),
  );
}

export function questionsOf(
  courses: readonly Course[],
  rails: readonly OwnRail[],
  opened: DisposableStack,
): Running["questions"] {
  return new Map(
    rails.map((rail) => {
      const own = courses.flatMap((course, i) => (course.rail === rail ? i : []));
      const party = { ip: rail.address.split("/")[0]!, mac: rail.mac };
      const targets = own.map((i) => courses[i]!.hop);
      const ask = opened.use(new ArpQuestions(rail.index, party, targets));
      return [rail.index, { ask, courses: own }];
    }),
  );
}

export const closeAll = (running: Running | undefined): void => {
  for (const { ask } of running?.questions.values() ?? []) ask[Symbol.dispose]();
  running?.echo[Symbol.dispose]();
};

/** Packets as large as the rail's, by each rail that answers, from primary address to primary address. */
export function admit({ admission, echo, hops, courses, look }: Running, nowMs: number): readonly Verdict[] {
  for (const { number, ip } of echo.answers()) if (courses[number]?.peer.primary === ip) admission.answered(number);
  const { ask, verdicts } = admission.tick(nowMs, (way) => isUsed(hops.ways[way]!));
  for (const way of ask) {
    const { rail, hop, peer } = courses[way]!;
    const { mtu } = look.rails.find(({ index }) => index === rail.index)!;
    echo.ask(way, { index: rail.index, mac: hop.mac, ip: peer.primary, bytes: mtu });
  }
  return verdicts;
}

export const keyOf = ({ peer, hop, rail }: Course): string => `${peer.primary} ${rail.index} ${hop.ip} ${hop.mac}`;

/** Of a peer: its primary address, and its pods. */
export const destinationsOf = ({ primary, networks = [] }: Peer): string[] => [`${primary}/32`, ...networks];

/** Without next hops there are to be none. */
export function wantedRoutes({ look, hops, admission, courses, byPeer }: Running, peer: Peer): WantedRoute[] {
  const used = byPeer.get(peer)!.filter((i) => isUsed(hops.ways[i]!) && admission.isAdmitted(i)).map((i) => courses[i]!); // biome-ignore format: one row
  if (used.length === 0) return [];
  const shared = used.map(({ rail, hop }) => ({ index: rail.index, gateway: hop.ip, weight: hop.weight }));
  return destinationsOf(peer).map((dst) => ({ dst, src: look.own.identity.primary, hops: shared }));
}

/** How many nodes each rail reaches, of those that have it. */
export function reachOf({ look, courses, hops, admission }: Running): RailReach[] {
  const counts = new Map<OwnRail, { reached: number; nodes: number }>(look.rails.map((rail) => [rail, { reached: 0, nodes: 0 }])); // biome-ignore format: one row
  for (const [i, { rail }] of courses.entries()) {
    const count = counts.get(rail)!;
    count.nodes++;
    if (isUsed(hops.ways[i]!) && admission.isAdmitted(i)) count.reached++;
  }
  return [...counts].filter(([, { nodes }]) => nodes > 0).map(([{ name: rail }, count]) => ({ rail, ...count }));
}

/** By what was known; of an agent before this one, whatever is a next hop. */
export function admissionOf(
  courses: readonly Course[],
  ways: readonly Way[],
  before: Running | undefined,
  nowMs: number,
): Admission {
  const known = new Map(before?.courses.map((course, i) => [keyOf(course), before.admission.isAdmitted(i)]));
  return new Admission(
    courses.map((course, i) => known.get(keyOf(course)) ?? isUsed(ways[i]!)),
    nowMs,
  );
}

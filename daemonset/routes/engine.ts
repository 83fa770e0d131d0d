import { randomBytes } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import type { Log } from "../../cni/host.ts";
import { EchoQuestions } from "../../kernel/echo-questions.ts";
import { parseLink } from "../../kernel/link.ts";
import type { NetlinkConnection } from "../../kernel/netlink/message.ts";
import type { Noticed } from "../../kernel/netlink/notices.ts";
import { Hops, type Verdict } from "./hops.ts";
import type { RailPeerSpec } from "./object.ts";
import type { RoutesOrder, RoutesReport } from "./order.ts";
import { lookAtOwn, NoRailsError, type OwnLook } from "./own.ts";
import { paceOf } from "./pace.ts";
import { choosePeers, type Peer } from "./peers.ts";
import { putBack } from "./put-back.ts";
import type { RailReach } from "./rail-reach.ts";
import { RouteTable } from "./route-table.ts";
import {
  admissionOf,
  admit,
  type Course,
  closeAll,
  coursesOf,
  destinationsOf,
  keyOf,
  questionsOf,
  type Running,
  reachOf,
  wantedRoutes,
} from "./running.ts";
import { type Settings, wantedSettings } from "./settings.ts";
import { tellNeighbours } from "./told.ts";
import { newWay, type Way } from "./way.ts";
import { turnOf, Witnesses } from "./witnesses.ts";

export interface EngineOptions {
  readonly rtnl: NetlinkConnection;
  readonly settings: Settings;
  readonly sysfs: string;
  readonly log: Log;
  /** What the node is to publish has changed. */
  readonly publish: (identity: RailPeerSpec | undefined) => void;
  /** How many nodes rails reach has changed. */
  readonly tellReach: (rails: readonly RailReach[]) => void;
}

/** What another process did to routes, addresses and settings is found so soon. */
const LOOK_MS = 30_000;
/** After a notice, and after something was refused. */
const SOON_MS = 500;

const NOT_ASKED = "no RailNetwork of this node asks for them: nodes.routes";

/** A node's routes over rails: asks the neighbours, and writes what they say. In a thread of its own; synchronous. */
export class Engine {
  readonly #options: EngineOptions;
  readonly #table: RouteTable;
  #order: RoutesOrder | undefined;
  #running: Running | undefined;
  #off = NOT_ASKED;
  #published: RailPeerSpec | undefined;
  #lookMs = 0;
  #questions = 0;
  #answers = 0;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#table = new RouteTable(options.rtnl);
  }

  /** Undefined puts all back. Idempotent. */
  follow(order: RoutesOrder | undefined, nowMs: number): void {
    if (isDeepStrictEqual(order, this.#order) && order) return;
    this.#order = order;
    if (order) this.#rebuild(nowMs);
    else this.#stop();
  }

  /** To be called every 50 ms. */
  tick(nowMs: number, noticed: Noticed): void {
    const running = this.#running;
    if (running) {
      const verdicts = [...this.#heed(running, noticed, nowMs), ...this.#ask(running, nowMs), ...admit(running, nowMs)];
      this.#write(running, new Set(verdicts.map(({ way }) => running.courses[way]!.peer)), nowMs);
      if (verdicts.length > 0) this.#options.tellReach(reachOf(running));
    }
    if (noticed.isUnclear || noticed.links.some((body) => this.#isOwn(body.readInt32LE(4))))
      this.#lookMs = Math.min(this.#lookMs, nowMs + SOON_MS);
    if (this.#order && nowMs >= this.#lookMs) this.#look(nowMs);
  }

  report(nowMs: number): RoutesReport {
    const { chosen, look, byPeer, courses, hops, admission } = this.#running ?? {};
    const peers = chosen?.peers.map((peer) => {
      const foreign = this.#table.foreign(`${peer.primary}/32`)?.protocol;
      const ways = byPeer!.get(peer)!.map((i) => {
        const { state, sinceMs, losses } = hops!.ways[i]!;
        return {
          rail: courses![i]!.hop.rail,
          state,
          isAdmitted: admission!.isAdmitted(i),
          forMs: Math.round(nowMs - sinceMs),
          losses,
        };
      });
      return { node: peer.node, primary: peer.primary, ways, ...(foreign !== undefined && { foreign }) };
    });
    const own = look?.unusable.map(({ rail, why }) => ({ peer: look.own.node, rail, why })) ?? [];
    return {
      off: this.#running ? "" : this.#off,
      peers: peers ?? [],
      refused: [...own, ...(chosen?.refused ?? [])],
      questions: this.#questions,
      answers: this.#answers,
      changes: this.#table.changes,
    };
  }

  /** What has changed since: own links and addresses, sysctls, routes. */
  #look(nowMs: number): void {
    const { rtnl, sysfs, settings } = this.#options;
    this.#lookMs = nowMs + LOOK_MS;
    const order = this.#order!;
    const running = this.#running;
    try {
      const look = withKnownSpeeds(lookAtOwn(order, rtnl, sysfs), running?.look);
      if (running && isDeepStrictEqual(look, running.look)) {
        settings.apply(this.#settingsOf(running));
        this.#table.look();
        this.#write(running, running.chosen.peers, nowMs);
        return;
      }
    } catch {} // the next line says why
    this.#rebuild(nowMs);
  }

  /** From what the kernel has: next hops of an agent before this one are used until they prove bad. */
  #rebuild(nowMs: number): void {
    const { rtnl, sysfs, log, settings } = this.#options;
    const before = this.#running;
    const order = this.#order!;
    this.#lookMs = nowMs + LOOK_MS;
    try {
      const look = withKnownSpeeds(lookAtOwn(order, rtnl, sysfs), before?.look);
      const chosen = choosePeers(look.own, order.peers, order.choice);
      const pace = paceOf(chosen.peers.reduce((sum, { hops }) => sum + hops.length, 0));
      settings.apply(wantedSettings(look.primaryLink, look.rails.map(({ netdev }) => netdev), pace.everyMs)); // biome-ignore format: one row
      const courses = coursesOf(chosen.peers, look.rails);
      for (const { index } of look.rails) tellNeighbours(index, courses.filter(({ rail }) => rail.index === index).map(({ hop }) => hop), rtnl); // biome-ignore format: one row
      const ways = this.#waysOf(courses, before, nowMs);
      using opened = new DisposableStack();
      const questions = questionsOf(courses, look.rails, opened);
      const echo = opened.use(new EchoQuestions(look.own.identity.primary, randomBytes));
      closeAll(before);
      this.#running = {
        look,
        chosen,
        courses,
        questions,
        byPeer: Map.groupBy(courses.keys(), (i) => courses[i]!.peer),
        hops: new Hops(ways, pace, nowMs, turnOf(courses)),
        witnesses: new Witnesses(courses, pace.everyMs),
        admission: admissionOf(courses, ways, before, nowMs),
        echo,
      };
      opened.move();
      this.#write(this.#running, chosen.peers, nowMs);
      this.#publish(look.own.identity);
      this.#options.tellReach(reachOf(this.#running));
      log.info({ peers: chosen.peers.length, ways: courses.length, everyMs: pace.everyMs }, "nodes on rails");
    } catch (err) {
      const why = (err as Error).message;
      if (why !== this.#off) log.warn({ err }, "no routes over rails: it is tried again");
      this.#off = why;
      closeAll(before);
      this.#running = undefined;
      this.#options.tellReach([]);
      this.#lookMs = nowMs + SOON_MS * 4;
      if (err instanceof NoRailsError) this.#table.withdraw();
    }
  }

  #stop(): void {
    closeAll(this.#running);
    this.#running = undefined;
    this.#off = NOT_ASKED;
    this.#options.tellReach([]);
    if (this.#options.settings.areChanged) putBack(this.#options);
    this.#publish(undefined);
  }

  #publish(identity: RailPeerSpec | undefined): void {
    if (isDeepStrictEqual(identity, this.#published)) return;
    this.#published = identity;
    this.#options.publish(identity);
  }

  #waysOf(courses: readonly Course[], before: Running | undefined, nowMs: number): Way[] {
    const known = new Map(before?.courses.map((course, i) => [keyOf(course), before.hops.ways[i]!]));
    const installed = new Set(
      this.#table.look().flatMap(({ dst, hops, index, gateway }) =>
        (hops ?? [{ index, gateway }]).map((hop) => `${dst} ${hop.index} ${hop.gateway}`),
      ), // biome-ignore format: rows
    );
    return courses.map(
      (course) =>
        known.get(keyOf(course)) ??
        newWay(installed.has(`${course.peer.primary}/32 ${course.rail.index} ${course.hop.ip}`), nowMs),
    );
  }

  #settingsOf({ look, hops }: Running) {
    return wantedSettings(look.primaryLink, look.rails.map(({ netdev }) => netdev), paceOf(hops.ways.length).everyMs); // biome-ignore format: one row
  }

  readonly #isOwn = (index: number): boolean => this.#running?.look.rails.some((rail) => rail.index === index) ?? false;

  /** A rail without carrier: the kernel has left it out already, and the far end's answers would come by it. */
  #heed({ courses, hops }: Running, { links }: Noticed, nowMs: number): Verdict[] {
    const own = links.filter((body) => this.#isOwn(body.readInt32LE(4))).map(parseLink);
    return own.flatMap(({ index, up, carrier }) => {
      const ways = courses.flatMap(({ rail }, i) => (rail.index === index ? i : []));
      if (!up || !carrier) return hops.lose(ways, nowMs);
      for (const way of ways) hops.hint(way, nowMs);
      return [];
    });
  }

  #ask({ questions, hops, courses, witnesses }: Running, nowMs: number): readonly Verdict[] {
    for (const { ask, courses } of questions.values())
      for (const number of ask.answers()) {
        this.#answers++;
        hops.answered(courses[number]!);
      }
    const { ask, verdicts } = hops.tick(nowMs);
    this.#questions += ask.length;
    for (const way of witnesses.heed(verdicts, nowMs)) hops.hint(way, nowMs);
    const byRail = Map.groupBy(ask, (way) => courses[way]!.rail.index);
    for (const [index, ways] of byRail)
      questions.get(index)!.ask.ask(ways.map((way) => courses[way]!.number).sort((a, b) => a - b));
    return verdicts;
  }

  /** Routes to these peers; to all of them, those to nobody go, too. */
  #write(running: Running, peers: Iterable<Peer>, nowMs: number): void {
    const { chosen } = running;
    const some = [...peers];
    if (some.length === 0 && chosen.peers.length > 0) return;
    const wanted = some.flatMap((peer) => wantedRoutes(running, peer));
    const destinations = some.flatMap(destinationsOf);
    try {
      this.#table.set(
        wanted,
        some.length === chosen.peers.length ? [...destinations, ...this.#table.own] : destinations,
      );
    } catch (err) {
      this.#lookMs = Math.min(this.#lookMs, nowMs + SOON_MS * 2);
      this.#options.log.warn({ err }, "a route over rails could not be written: it is tried again");
    }
  }
}

/** A link without carrier has no speed, which is no change of the node. */
function withKnownSpeeds(look: OwnLook, before: OwnLook | undefined): OwnLook {
  const speedOf = new Map(before?.rails.map(({ index, speed }) => [index, speed]));
  const rails = look.rails.map((rail) => {
    const speed = rail.speed ?? speedOf.get(rail.index);
    return { ...rail, ...(speed !== undefined && { speed }) };
  });
  const published = rails.map(({ netdev: _, index: __, ...rest }) => rest);
  return { ...look, rails, own: { ...look.own, identity: { ...look.own.identity, rails: published } } };
}

import { isDeepStrictEqual } from "node:util";
import type { Log } from "../../cni/host.ts";
import type { FollowedNetwork } from "../rail-network/listed.ts";
import { Pace } from "../rail-node/pace.ts";
import type { RailHere } from "../rails/select.ts";
import type { RailPeerSpec } from "./object.ts";
import type { RoutesOrder, RoutesReport } from "./order.ts";
import type { PeersSeen } from "./peers-file.ts";
import type { OwnObjects } from "./peers-follower.ts";
import type { Publisher } from "./publisher.ts";
import type { RoutesThread } from "./thread.ts";
import { wantedRoutes } from "./wanted.ts";

export interface RouteKeeperOptions {
  readonly node: string;
  /** The RailNetworks of this node. @throws {Error} when they cannot be read: then all stays as it is. */
  readonly networks: () => readonly FollowedNetwork[];
  readonly rails: () => readonly RailHere[];
  /** What an agent before this one had heard. */
  readonly seen: PeersSeen;
  readonly open: (onIdentity: (identity: RailPeerSpec | undefined) => void) => RoutesThread;
  /** Whether an agent before this one has left something to put back. */
  readonly isLeft: () => boolean;
  readonly log: Log;
  readonly nowMs: () => number;
}

/** A change of what is published waits so long, give or take: each is told to all nodes. */
const PUBLISH_MS = 5_000;
/** Others take so long to send no more by the rails of a node whose RailPeer is gone; a strict rp_filter must not come before. */
const SETTLE_MS = 5_000;
/** And without an API server it is not waited for. */
const GIVE_UP_MS = 30_000;
const REPORT_MS = 2_000;

/** Keeps the thread of the routes at what RailNetworks and RailPeers say, and what is published of this node. */
export class RouteKeeper {
  readonly #options: RouteKeeperOptions;
  readonly #pace = new Pace({ spreadMs: PUBLISH_MS, random: Math.random });
  #seen: PeersSeen;
  #own: OwnObjects | undefined;
  #publisher: Publisher | undefined;
  #thread: RoutesThread | undefined;
  #order: RoutesOrder | undefined;
  #identity: RailPeerSpec | undefined;
  /** Since when there are to be no routes, and when the RailPeer was gone. */
  #offMs: number | undefined;
  #goneMs: number | undefined;

  constructor(options: RouteKeeperOptions) {
    this.#options = options;
    this.#seen = options.seen;
  }

  /** Whether peers, and what is published of this node, are worth following. @throws {Error} when RailNetworks cannot be read. */
  get wantsPeers(): boolean {
    return this.#isAsked || this.#thread !== undefined || this.#options.isLeft();
  }

  /** Whether RailNetworks ask for routes. @throws {Error} when they cannot be read. */
  get #isAsked(): boolean {
    return this.#options.networks().some(({ nodes }) => nodes?.routes === true);
  }

  heard(seen: PeersSeen, own: OwnObjects, publisher: Publisher): void {
    this.#seen = seen;
    this.#own = own;
    this.#publisher = publisher;
  }

  /** To be called every few seconds. Rejects when something is to be tried again. */
  async look(): Promise<void> {
    const { node, networks, rails } = this.#options;
    const isAsked = this.#isAsked;
    if (isAsked && this.#seen.primary === "") return; // who this node is, is not known yet
    const order = isAsked ? wantedRoutes(node, networks(), rails(), this.#seen) : undefined;
    if (order) this.#turnOn(order);
    else if (this.#thread || this.#options.isLeft()) await this.#turnOff();
    if (this.#thread) await this.#publish();
  }

  /** Undefined where there is nothing to tell. */
  async report(): Promise<RoutesReport | undefined> {
    return this.#thread?.report(REPORT_MS);
  }

  /** Routes stay as they are. */
  stop(): void {
    this.#thread?.terminate();
  }

  #turnOn(order: RoutesOrder): void {
    this.#offMs = undefined;
    this.#goneMs = undefined;
    this.#thread ??= this.#open();
    if (this.#order && isSame(order, this.#order)) return;
    this.#order = order;
    this.#thread.follow(order);
  }

  /** First nobody is told to send by this node's rails any more, then all is put back. */
  async #turnOff(): Promise<void> {
    const { nowMs, log } = this.#options;
    this.#thread ??= this.#open();
    this.#identity = undefined;
    this.#offMs ??= nowMs();
    if (this.#own && this.#own.published === undefined) this.#goneMs ??= nowMs();
    const isSettled = this.#goneMs !== undefined && nowMs() - this.#goneMs >= SETTLE_MS;
    if (!isSettled && nowMs() - this.#offMs < GIVE_UP_MS) return;
    this.#thread.follow(undefined);
    if (!(await this.#thread.report(REPORT_MS))) return; // it is at it
    this.#thread.terminate();
    this.#thread = undefined;
    this.#order = undefined;
    this.#offMs = undefined;
    this.#goneMs = undefined;
    log.info({}, "nodes on rails: routes, neighbours and settings of this node are as they were before");
  }

  readonly #open = (): RoutesThread => this.#options.open((identity) => (this.#identity = identity));

  async #publish(): Promise<void> {
    const { nowMs } = this.#options;
    const own = this.#own;
    const isOff = this.#offMs !== undefined;
    if (!own || !this.#publisher || (!isOff && this.#identity === undefined)) return;
    const differs = !isDeepStrictEqual(own.published?.spec, this.#identity);
    if (!(isOff ? differs : this.#pace.isDue(nowMs(), differs))) return;
    if (await this.#publisher.publish(this.#identity, own)) this.#own = { ...own, published: publishedAs(this.#identity, this.#options.node) }; // biome-ignore format: one row
    this.#pace.wrote(nowMs());
  }
}

/** Thousands of peers are not compared each time: what was heard is one list until something else is. */
const isSame = (a: RoutesOrder, b: RoutesOrder): boolean =>
  a.peers === b.peers && isDeepStrictEqual({ ...a, peers: [] }, { ...b, peers: [] });

const publishedAs = (spec: RailPeerSpec | undefined, name: string): OwnObjects["published"] =>
  spec && { metadata: { name }, spec };

import { existsSync } from "node:fs";
import { join } from "node:path";
import { readBootId } from "../../cni/boot-id.ts";
import type { Log, Paths } from "../../cni/host.ts";
import { hasCarrier } from "../../kernel/sysfs.ts";
import type { Cluster } from "../../kubernetes/cluster.ts";
import type { EventRecorder } from "../../kubernetes/events/recorder.ts";
import { beforeAbort, repeat } from "../loop.ts";
import { readNetworks } from "../rail-network/file.ts";
import type { Rails } from "../rails/start.ts";
import { RouteKeeper } from "./keeper.ts";
import type { RoutesReport } from "./order.ts";
import { readPeersSeen, writePeersSeen } from "./peers-file.ts";
import { followPeers } from "./peers-follower.ts";
import { Publisher } from "./publisher.ts";
import { railEvent } from "./rail-events.ts";
import { RailWatch } from "./rail-reach.ts";
import { RoutesThread } from "./thread.ts";

export interface RoutesOptions {
  /** Fulfilled when there is a cluster that hears this node; never on a single host. */
  readonly cluster: Promise<Cluster>;
  readonly node: string;
  readonly paths: Pick<Paths, "stateDir" | "sysfs">;
  /** Where this node's RailNetworks are. */
  readonly networks: string;
  readonly rails: Pick<Rails, "here" | "looked">;
  readonly open: () => Worker;
  readonly recorder: Pick<EventRecorder, "record">;
  readonly log: Log;
}

/** This node's routes over rails. */
export interface Routes {
  /** Undefined where no RailNetwork asks for them. */
  report(): Promise<RoutesReport | undefined>;
  /** Whether most nodes that have a rail are reached by it; undefined where that is not known. */
  isReaching(rail: string): boolean | undefined;
}

const LOOK_MS = 2_000;

/** Keeps this node's routes over rails until `signal`; then they stay as they are. */
export function startRoutes(options: RoutesOptions, signal: AbortSignal): Routes {
  const { cluster, node, paths, networks, rails, open, recorder, log } = options;
  const nowMs = () => performance.now();
  const watch = new RailWatch();
  const file = join(paths.stateDir, "rail-peers.json");
  const keeper = new RouteKeeper({
    node,
    networks: () => readNetworks(networks),
    rails: rails.here,
    seen: readPeersSeen(file),
    open: (onIdentity) =>
      new RoutesThread({
        ...{ open, paths, log, onIdentity },
        bootId: readBootId(),
        onReach: (reaches) => watch.heard(reaches, nowMs()),
      }),
    isLeft: () => existsSync(join(paths.stateDir, "routes", "settings.json")),
    log,
    nowMs,
  });
  let following: AbortController | undefined;
  const follow = (cluster: Cluster, until: AbortSignal) => {
    const publisher = new Publisher({ cluster, node, log });
    return followPeers(
      {
        cluster,
        node,
        log,
        onSeen: (seen, own) => {
          keeper.heard(seen, own, publisher);
          tryWrite(file, seen, log);
        },
      },
      until,
    );
  };
  const tell = () => {
    for (const change of watch.changes(nowMs())) {
      const link = rails.here().find(({ rail }) => rail.name === change.rail)?.pf.name;
      recorder.record(railEvent(node, link !== undefined && hasCarrier(paths.sysfs, link), change));
    }
  };
  const look = async () => {
    tell();
    if (keeper.wantsPeers && !following) {
      following = new AbortController();
      const until = AbortSignal.any([signal, following.signal]);
      void beforeAbort(cluster, until).then(async (isReached) => isReached && follow(await cluster, until));
    }
    await keeper.look();
    if (!keeper.wantsPeers) {
      following?.abort();
      following = undefined;
    }
  };
  void beforeAbort(rails.looked, signal).then(() => repeat("nodes on rails", { everyMs: LOOK_MS, signal, log }, look));
  signal.addEventListener("abort", () => keeper.stop(), { once: true });
  return { report: () => keeper.report(), isReaching: (rail) => watch.isReaching(rail) };
}

/** Routes go on without it; only a restart while there is no API server would not know them. */
function tryWrite(file: string, seen: Parameters<typeof writePeersSeen>[1], log: Log): void {
  try {
    writePeersSeen(file, seen);
  } catch (err) {
    log.warn(
      { err, file },
      "the RailPeers could not be written: an agent that starts without an API server knows none",
    );
  }
}

import { join } from "node:path";
import { LinkNotices } from "../../kernel/netlink/notices.ts";
import { NetlinkSocket } from "../../kernel/netlink/socket.ts";
import { threadLog } from "../thread-log.ts";
import { Engine } from "./engine.ts";
import type { RailPeerSpec } from "./object.ts";
import type { RoutesJob, RoutesNews } from "./order.ts";
import type { RailReach } from "./rail-reach.ts";
import { Settings } from "./settings.ts";

declare const self: {
  onmessage: ((event: { data: RoutesJob }) => void) | null;
  postMessage(news: RoutesNews): void;
};

const TICK_MS = 50;
const nowMs = () => performance.now();
let engine: Engine | undefined;

const log = threadLog((line) => self.postMessage({ news: "log", line }), "info");

self.onmessage = ({ data: job }) => {
  if (job.do === "start") start(job);
  else if (job.do === "follow") attempt(() => engine!.follow(job.order, nowMs()));
  else self.postMessage({ news: "report", id: job.id, report: engine!.report(nowMs()) });
};

function start({ stateDir, sysfs, bootId }: Extract<RoutesJob, { do: "start" }>): void {
  const notices = new LinkNotices();
  const settings = new Settings(join(stateDir, "routes"), bootId);
  const publish = (identity: RailPeerSpec | undefined) => self.postMessage({ news: "identity", identity });
  const tellReach = (rails: readonly RailReach[]) => self.postMessage({ news: "reach", rails });
  engine = new Engine({ rtnl: new NetlinkSocket(), settings, sysfs, log, publish, tellReach });
  setInterval(() => attempt(() => engine!.tick(nowMs(), notices.take())), TICK_MS);
}

/** What fails is seen again at the next look. */
function attempt(work: () => void): void {
  try {
    work();
  } catch (err) {
    log.warn({ err }, "nodes on rails: a step failed; it is tried again");
  }
}

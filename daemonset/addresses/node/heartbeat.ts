import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Log } from "../../../cni/host.ts";
import { RecordFiles } from "../../../records/record-files.ts";
import { parseRecord } from "../../../records/record-text.ts";

/** Since the node's boot, including the time of a suspension. */
export const sinceBootMs = (): number => Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]) * 1000;

export interface HeartbeatOptions {
  readonly stateDir: string;
  readonly bootId: string;
  readonly log: Log;
  /** Default {@link sinceBootMs}. */
  readonly nowMs?: () => number;
}

const NAME = "node.json";

interface Renewal {
  readonly bootId: string;
  readonly renewedMs: number;
}

/**
 * When this node's agent last reported to the cluster: on disk, so that an agent that restarts while it is not heard
 * continues from there. A record of another boot, or none, counts as now.
 */
export class Heartbeat {
  readonly nowMs: () => number;
  readonly #bootId: string;
  readonly #log: Log;
  readonly #files: RecordFiles<Renewal>;
  #renewedMs: number;

  constructor({ stateDir, bootId, log, nowMs = sinceBootMs }: HeartbeatOptions) {
    this.nowMs = nowMs;
    this.#bootId = bootId;
    this.#log = log;
    this.#files = new RecordFiles(join(stateDir, "standing"), {
      title: "the node's heartbeat",
      tornPrefix: "standing-",
      parse,
    });
    const last = this.#files.read(NAME);
    const now = nowMs();
    this.#renewedMs = last?.bootId === bootId ? Math.min(last.renewedMs, now) : now;
  }

  /** For how long, at most, nobody has heard from this node. */
  get silentMs(): number {
    return this.nowMs() - this.#renewedMs;
  }

  /** @param sinceMs by {@link nowMs}, before the request that was answered now: the node was last heard no later than then. */
  renewed(sinceMs: number): void {
    this.#renewedMs = Math.max(this.#renewedMs, sinceMs);
    const record = { version: 1, bootId: this.#bootId, renewedMs: this.#renewedMs };
    try {
      this.#files.write(NAME, JSON.stringify(record), { synced: false }); // after another boot it is worthless
    } catch (err) {
      this.#log.warn({ err }, "cannot record this node's last heartbeat");
    }
  }
}

function parse(text: string): Renewal {
  const { bootId, renewedMs } = parseRecord(text);
  if (typeof bootId !== "string" || !Number.isFinite(renewedMs))
    throw new SyntaxError("bootId or renewedMs is missing");
  return { bootId, renewedMs: renewedMs as number };
}

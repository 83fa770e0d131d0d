import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Log } from "../../../cni/host.ts";
import { RecordFiles } from "../../../records/record-files.ts";
import { parseRecord } from "../../../records/record-text.ts";

/** Since the node's boot, the time of a suspension too. */
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
 * When this node's agent last told the cluster that it is there: on disk, so that an agent that starts anew while nobody
 * hears it counts on from there. What is on record of another boot, or not at all, counts as now.
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

  /** For how long nobody has heard of this node, at most. */
  get silentMs(): number {
    return this.nowMs() - this.#renewedMs;
  }

  /** @param sinceMs by {@link nowMs}, before the request that was answered now: nobody heard of the node later than then. */
  renewed(sinceMs: number): void {
    this.#renewedMs = Math.max(this.#renewedMs, sinceMs);
    const record = { version: 1, bootId: this.#bootId, renewedMs: this.#renewedMs };
    try {
      this.#files.write(NAME, JSON.stringify(record), { synced: false }); // of another boot it says nothing
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

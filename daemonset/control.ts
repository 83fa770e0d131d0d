import type { CniRequest, CniResponse } from "../cni/protocol/request.ts";
import type { RailNames } from "./inventory/rails.ts";
import { isLogLevel, LOG_LEVELS, type LogLevel } from "./log-level.ts";
import type { Note } from "./notes.ts";
import type { RoutesReport } from "./routes/order.ts";

/** The name under which the command line asks, over the same socket as the shim: it is accessible to root only. */
export const CONTROL = "railnet";

/** Standard input of such a call. */
export type ControlRequest =
  | { readonly ask: "state" }
  | { readonly ask: "log-level"; readonly level: LogLevel }
  | { readonly ask: "routes" };

/** The answer to each: `null` where there are no routes over rails. */
export type ControlAnswer<Q extends ControlRequest> = Q extends { ask: "routes" } ? RoutesReport | null : AgentState;

/** What the agent reports about itself. */
export interface AgentState {
  readonly version: string;
  readonly pid: number;
  /** ISO 8601. */
  readonly since: string;
  /** Why it does not serve; empty if it does. */
  readonly notReady: string;
  /** What the API server refuses of what it must follow, one sentence each. Absent from agents before 0.2. */
  readonly refused?: readonly string[];
  readonly logLevel: string;
  /** Name of this node in the cluster. */
  readonly node: string;
  /** Attachments whose addresses are not released yet. */
  readonly pendingReleases: number;
  readonly events: { readonly sent: number; readonly dropped: number; readonly waiting: number };
  readonly rails: RailNames;
  /** The most recent ones, newest last. */
  readonly notes: readonly Note[];
}

export interface Controlled {
  state(): Promise<AgentState>;
  setLogLevel(level: LogLevel): void;
  routes(): Promise<RoutesReport | undefined>;
}

/** Answers the command line. Never throws. */
export async function control(request: CniRequest, agent: Controlled): Promise<CniResponse> {
  try {
    const question = JSON.parse(request.stdin) as { ask?: unknown; level?: unknown } | null;
    if (question?.ask === "routes") return answer((await agent.routes()) ?? null);
    if (question?.ask === "log-level") {
      if (!isLogLevel(question.level)) throw new Error(`cannot set the log level: want ${LOG_LEVELS.join(", ")}`);
      agent.setLogLevel(question.level);
    } else if (question?.ask !== "state") throw new Error("cannot answer: this version does not know the question");
    return answer(await agent.state());
  } catch (error) {
    return { exit: 1, stdout: JSON.stringify({ msg: (error as Error).message }), stderr: "" };
  }
}

const answer = (what: unknown): CniResponse => ({ exit: 0, stdout: JSON.stringify(what), stderr: "" });

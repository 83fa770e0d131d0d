import type { Log } from "../../cni/host.ts";
import { traceIdOf } from "../../cni/protocol/environment.ts";
import type { CniRequest, CniResponse } from "../../cni/protocol/request.ts";
import { factsOf, outcomeOf, podText } from "./facts.ts";
import { reasonOf } from "./failures.ts";

/** What is known only where a call was processed. */
export interface CallTiming {
  readonly ms: number;
  /** The last completed step. */
  readonly step?: string;
  /** The PF's name. */
  readonly rail?: string;
  /** It was part of another call, which has its own line. */
  readonly isPart?: boolean;
}

/**
 * One line per call: failures as warnings, ADD and DEL at `info`, frequent calls of runtimes, and parts of other calls, at
 * `debug`. OpenTelemetry names a trace `trace_id` in foreign logs. The network configuration is not logged: it may contain secrets.
 */
export function logCall(log: Log, request: CniRequest, response: CniResponse, timing: CallTiming): void {
  const { plugin, verb, pod, containerID, ifname, network, pci } = factsOf(request);
  const { code, message } = outcomeOf(response);
  const { step, rail, isPart } = timing;
  const trace = traceIdOf(request.env);
  const who = { pod: podText(pod), containerID, ifname, network, rail, pci };
  const fields = {
    plugin,
    verb,
    ...filled(who),
    ...(trace && { trace_id: trace }),
    ...(step && { step }),
    ms: Math.round(timing.ms * 10) / 10,
    code,
  };
  if (code !== 0 && !isPart) log.warn({ ...fields, reason: reasonOf(code), error: message }, "failed");
  else if (code === 0 && !isPart && (verb === "ADD" || verb === "DEL")) log.info(fields, "done");
  else log.debug(code === 0 ? fields : { ...fields, error: message }, code === 0 ? "done" : "failed");
}

const filled = (fields: Readonly<Record<string, string | undefined>>): Record<string, string> =>
  Object.fromEntries(Object.entries(fields).filter((entry): entry is [string, string] => Boolean(entry[1])));

import type { Log } from "../../cni/host.ts";
import type { CniRequest, CniResponse } from "../../cni/protocol/request.ts";
import type { CallCounts } from "../metrics/call-counts.ts";
import type { Handler } from "../server.ts";
import { outcomeOf, pluginOf, verbOf } from "./facts.ts";
import { logCall } from "./log-call.ts";

/** Who is told of each call. All of them but the counts are told after its caller. */
export interface Observers {
  readonly counts: CallCounts;
  /** Where the call's line goes; absent if the kernel thread writes it, which knows the steps. */
  readonly log?: { readonly to: Log; readonly isPart: boolean };
  readonly onFailedAdd?: (request: CniRequest, response: CniResponse) => void;
}

/** The same handler, observed. */
export function observed(handler: Handler, { counts, log, onFailedAdd }: Observers): Handler {
  return async (request, signal) => {
    const beginMs = performance.now();
    counts.begin();
    const response = await handler(request, signal);
    const ms = performance.now() - beginMs;
    const verb = verbOf(request);
    counts.end(pluginOf(request.name), verb, outcomeOf(response).code, ms / 1000);
    if (log) setImmediate(logCall, log.to, request, response, { ms, isPart: log.isPart });
    if (onFailedAdd && verb === "ADD" && response.exit !== 0 && !signal.aborted)
      setImmediate(onFailedAdd, request, response);
    return response;
  };
}

import { dirname, join } from "node:path";
import { obey } from "../cni/attachment/fence.ts";
import { hostUseOfVf } from "../cni/attachment/host-use.ts";
import { faultsFrom } from "../cni/faults.ts";
import { PATHS } from "../cni/host.ts";
import { onHost } from "../cni/host-root.ts";
import { createHost, pathsFrom, traceFrom } from "../cni/node-host.ts";
import { sriov } from "../cni/plugin.ts";
import { type Exec, isRegularFile } from "../cni/protocol/delegate.ts";
import { dispatch } from "../cni/protocol/dispatch.ts";
import { execCommand, execOnHost } from "../cni/protocol/edges.ts";
import { CniError, CODE } from "../cni/protocol/error.ts";
import type { CniRequest, CniResponse } from "../cni/protocol/request.ts";
import type { Step } from "../cni/steps.ts";
import { readNodePolicy } from "../ipam/node-policy.ts";
import { IpamPlugins } from "../ipam/plugins.ts";
import { codeOf } from "../kernel/errno.ts";
import { pfOf } from "../kernel/sysfs.ts";
import { attachmentKey } from "../records/record-files.ts";
import { factsOf } from "./calls/facts.ts";
import { type CallTiming, logCall } from "./calls/log-call.ts";
import { inTurn } from "./few-at-once.ts";
import { IpamQuestions } from "./ipam-questions.ts";
import type { HostUses, IpamQuestion, Job, JobAnswer, TurnQuestion } from "./kernel-thread.ts";
import { carryOut, type RailOrder } from "./rails/orders.ts";
import { reconcile } from "./reconcile/reconcile.ts";
import { isVfWithin, type Scope } from "./reconcile/scope.ts";
import { type LogLine, threadLog } from "./thread-log.ts";
import { TurnQuestions } from "./turn-questions.ts";

declare const self: {
  onmessage: ((event: { data: Job }) => void) | null;
  postMessage(answer: JobAnswer | IpamQuestion | TurnQuestion | LogLine): void;
};

const log = threadLog((line) => self.postMessage(line), process.env.RAILNET_LOG_LEVEL ?? "info");
void traceFrom(process.env);
const paths = { ...PATHS, ...pathsFrom(process.env) };
const questions = new IpamQuestions((question) => self.postMessage(question));
const turns = new TurnQuestions((question) => self.postMessage(question));
const { aliases = [] } = readNodePolicy(paths, process.env);
const host = createHost({
  paths,
  ipam: new IpamPlugins({
    exec: inTurn(execIn(paths.hostRoot), turns.take),
    askOwn: questions.ask,
    aliases: () => aliases,
    isFile: (path) => isRegularFile(onHost(paths.hostRoot, path)),
  }),
  log,
  ...faultsFrom(process.env),
  afterwards: (work) => void setImmediate(work),
});

// Loaded now, or the first ADD would wait for it.
void Promise.all([import("../cni/add.ts"), import("../cni/del.ts")]);

/** Another IPAM plugin runs on the host: its files and libraries are there. */
function execIn(hostRoot: string): Exec {
  return hostRoot === "/" ? execCommand : execOnHost(join(dirname(process.execPath), "railnet-host-exec"));
}

/** A running call, so that its caller's end, or a DEL of the same attachment, can stop it. */
interface Running {
  readonly id: number;
  readonly adding?: string;
  readonly abort: AbortController;
}
const running = new Set<Running>();

self.onmessage = ({ data: job }) => {
  if (job.kind === "abort") stop((r) => r.id === job.id, "the caller is gone");
  else if (job.kind === "ipam") questions.answered(job.id, job.reply);
  else if (job.kind === "turn") turns.given(job.id);
  else if (job.kind === "log-level") log.level = job.level;
  else if (job.kind === "ping") self.postMessage({ id: job.id });
  else void answer(job).then((rest) => self.postMessage({ id: job.id, ...rest }));
};

async function answer(
  job: Extract<Job, { kind: "request" | "reconcile" | "host-uses" | "fence" | "rail" }>,
): Promise<Omit<JobAnswer, "id">> {
  try {
    if (job.kind === "fence") return { fence: await obey(job.order, host) };
    if (job.kind === "rail") return await answerRail(job.order);
    if (job.kind === "host-uses") return { hostUses: hostUses(job.vfs) };
    return job.kind === "request"
      ? { response: await handle(job.id, job.request, job.scope) }
      : { repairs: await reconcile(host, job.scope) };
  } catch (error) {
    return { error: String(error) };
  }
}

/** The sender knows what the order was about. */
const answerRail = (order: RailOrder): Promise<Omit<JobAnswer, "id">> =>
  carryOut(order, host).then(
    (rail) => ({ rail }),
    (error: Error) => ({ error: error.message }),
  );

function hostUses(vfs: readonly string[]): HostUses {
  const uses = vfs.map((vf) => [vf, useOf(vf)] as const).filter(([, use]) => use !== undefined);
  return Object.fromEntries(uses) as HostUses;
}

/** A VF that vanishes while it is examined is nobody's; one that cannot be examined may be in use. */
function useOf(vf: string): string | undefined {
  try {
    return hostUseOfVf(vf, host.paths.sysfs, host.rtnl);
  } catch (err) {
    if (codeOf(err) === "ENODEV") return undefined;
    log.warn({ vf, err }, "cannot inspect a VF");
    return `cannot inspect it: ${(err as Error).message}`;
  }
}

/** DEL wins over a running ADD of the same attachment: it aborts it, then waits for its lock. */
async function handle(id: number, request: CniRequest, scope: Scope | undefined): Promise<CniResponse> {
  const { CNI_COMMAND: verb, CNI_CONTAINERID: containerId = "", CNI_IFNAME: ifname = "" } = request.env;
  const key = attachmentKey(containerId, ifname);
  if (verb === "DEL") stop((r) => r.adding === key, "DEL of the same attachment came");
  const abort = new AbortController();
  const self = { id, abort, ...(verb === "ADD" && { adding: key }) };
  running.add(self);
  const timing = new CallTimer(verb ?? "", containerId, ifname);
  try {
    const share = scope && { has: isVfWithin(scope, paths.sysfs), asksIpam: "except" in scope };
    const own = { ...host, signal: abort.signal, step: timing.step, ...(share && { share }) };
    const response = await dispatch(sriov, request, () => own);
    setImmediate(report, request, response, timing.end());
    return response;
  } finally {
    running.delete(self);
  }
}

function stop(which: (r: Running) => boolean, why: string): void {
  for (const r of running) if (which(r)) r.abort.abort(new CniError(CODE.TRY_AGAIN_LATER, `cannot finish ADD: ${why}`));
}

/** How far a call has come, and when. */
class CallTimer {
  readonly #who: { readonly verb: string; readonly containerID: string; readonly ifname: string };
  readonly #beginMs = performance.now();
  #last: Step | undefined;

  constructor(verb: string, containerID: string, ifname: string) {
    this.#who = { verb, containerID, ifname };
  }

  readonly step = (step: Step, ifname = this.#who.ifname): void => {
    if (step.startsWith(this.#who.verb.toLowerCase())) this.#last = step; // the undo of an ADD does the steps of DEL
    log.debug({ ...this.#who, ifname, step, ms: this.#ms() }, "step");
    host.step(step, ifname);
  };

  end(): CallTiming {
    return { ms: this.#ms(), ...(this.#last && { step: this.#last }) };
  }

  #ms(): number {
    return Math.round((performance.now() - this.#beginMs) * 10) / 10;
  }
}

function report(request: CniRequest, response: CniResponse, timing: CallTiming): void {
  const { pci } = factsOf(request);
  const rail = pci ? pfOf(host.paths.sysfs, pci)?.name : undefined;
  logCall(log, request, response, { ...timing, ...(rail && { rail }) });
}

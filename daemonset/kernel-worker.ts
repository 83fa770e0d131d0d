import { dirname, join } from "node:path";
import { attachmentKey } from "../cni/attachment/record.ts";
import { faultsFrom } from "../cni/faults.ts";
import { PATHS } from "../cni/host.ts";
import { readNodePolicy } from "../cni/ipam-host.ts";
import { createHost, pathsFrom, traceFrom } from "../cni/node-host.ts";
import { withOwnIpam } from "../cni/own-ipam.ts";
import { sriov } from "../cni/plugin.ts";
import type { Exec } from "../cni/protocol/delegate.ts";
import { dispatch } from "../cni/protocol/dispatch.ts";
import { execCommand, execOnHost } from "../cni/protocol/edges.ts";
import { CniError, CODE } from "../cni/protocol/error.ts";
import type { CniRequest, CniResponse } from "../cni/protocol/request.ts";
import { IpamQuestions } from "./ipam-questions.ts";
import type { Answer, Job, Question } from "./lane.ts";
import { createLog } from "./log.ts";
import { reconcile } from "./reconcile/reconcile.ts";

declare const self: {
  onmessage: ((event: { data: Job }) => void) | null;
  postMessage(answer: Answer | Question): void;
};

const log = createLog();
void traceFrom(process.env);
const paths = { ...PATHS, ...pathsFrom(process.env) };
const questions = new IpamQuestions((question) => self.postMessage(question));
const { aliases = [] } = readNodePolicy(paths, process.env);
const host = createHost({
  paths,
  exec: withOwnIpam(execIn(paths.hostRoot), aliases, questions.ask),
  log,
  ...faultsFrom(process.env),
  afterwards: (work) => void setImmediate(work),
});

/** Another IPAM plugin runs on the host: its files and libraries are there. */
function execIn(hostRoot: string): Exec {
  return hostRoot === "/" ? execCommand : execOnHost(join(dirname(process.execPath), "railnet-host-exec"));
}

/** What runs, so that its caller's end, or a DEL of the same attachment, can stop it. */
interface Running {
  readonly id: number;
  readonly adding?: string;
  readonly abort: AbortController;
}
const running = new Set<Running>();

self.onmessage = ({ data: job }) => {
  if (job.kind === "abort") stop((r) => r.id === job.id, "the caller is gone");
  else if (job.kind === "ipam") questions.answered(job.id, job.response);
  else void answer(job).then((rest) => self.postMessage({ id: job.id, ...rest }));
};

async function answer(job: Exclude<Job, { kind: "abort" | "ipam" }>): Promise<Omit<Answer, "id">> {
  try {
    return job.kind === "request"
      ? { response: await handle(job.id, job.request) }
      : { repairs: await reconcile(host) };
  } catch (error) {
    return { error: String(error) };
  }
}

/** DEL wins over a running ADD of the same attachment: it aborts it, then waits for its lock. */
async function handle(id: number, request: CniRequest): Promise<CniResponse> {
  const { CNI_COMMAND: verb, CNI_CONTAINERID: containerId = "", CNI_IFNAME: ifname = "" } = request.env;
  const key = attachmentKey(containerId, ifname);
  if (verb === "DEL") stop((r) => r.adding === key, "DEL of the same attachment came");
  const abort = new AbortController();
  const self = { id, abort, ...(verb === "ADD" && { adding: key }) };
  running.add(self);
  const begin = performance.now();
  try {
    const response = await dispatch(sriov, request, { ...host, signal: abort.signal });
    setImmediate(report, request, response, performance.now() - begin);
    return response;
  } finally {
    running.delete(self);
  }
}

function stop(which: (r: Running) => boolean, why: string): void {
  for (const r of running) if (which(r)) r.abort.abort(new CniError(CODE.TRY_AGAIN_LATER, `cannot finish ADD: ${why}`));
}

function report({ env }: CniRequest, { exit, stdout }: CniResponse, ms: number): void {
  const fields = {
    verb: env.CNI_COMMAND,
    containerID: env.CNI_CONTAINERID,
    ifname: env.CNI_IFNAME,
    ms: Math.round(ms * 10) / 10,
  };
  if (exit === 0) log.info(fields, "done");
  else log.warn({ ...fields, error: stdout }, "failed");
}

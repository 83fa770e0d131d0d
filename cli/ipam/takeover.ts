import type { Argv } from "yargs";
import type { Cluster } from "../../kubernetes/cluster.ts";
import { type Output, outputFor } from "../output.ts";
import { count } from "../table.ts";
import { type CommonOptions, type ExitCode, running, withCommon } from "./options.ts";
import { Progress } from "./progress.ts";
import { connectTo, findTarget, surroundingsOf } from "./store-target.ts";
import { adoptAll } from "./takeover/adopt.ts";
import { awaitAgents, writeMissingRecords } from "./takeover/back.ts";
import { next, obstaclesToBack, obstaclesToFinish } from "./takeover/obstacles.ts";
import { readTakeover } from "./takeover/state.ts";
import { summary } from "./takeover/summary.ts";
import { switchTo } from "./takeover/switch.ts";

const STEPS = ["plan", "adopt", "finish", "back"] as const;

interface TakeoverOptions extends CommonOptions {
  readonly step: (typeof STEPS)[number];
}

export const registerTakeover = (y: Argv): Argv =>
  y.command(
    "takeover [step]",
    "from Whereabouts to Railnet and back, pods keep their addresses",
    (y) =>
      withCommon(y)
        .positional("step", { choices: STEPS, default: "plan" as const, describe: "what to do" })
        .example("$0 ipam takeover", "the state, and the next step; changes nothing")
        .example("$0 ipam takeover adopt", "makes a reservation for every record; Whereabouts may run")
        .example(
          "$0 ipam takeover finish",
          "says that Whereabouts is gone, if it is: claims take one request from then on",
        )
        .example("$0 ipam takeover back", "before Whereabouts is started again")
        .epilogue("Every step may be interrupted and run again.")
        .epilogue(
          'With --json: {"mode", "pools": [{"pool", "isAdopted", "records", "reservations", "unreserved", "unrecorded", ' +
            '"stuck", "disputed"}], "whereabouts": {"leaseRenewed", "isLive", "workloads"}, "agents": [{"node", "mode", ' +
            '"renewed", "isHeard", "hasNode"}], "nodesWithoutAgent", "did", "obstacles", "next"}. Exit code 1 when the step ' +
            "was not done; obstacles say why.",
        ),
    running(takeover),
  );

/** What a step did, in a sentence, and what it could not do. */
interface Did {
  readonly did: string;
  readonly obstacles: readonly string[];
}

async function takeover(options: TakeoverOptions): Promise<ExitCode> {
  const cluster = await connectTo(findTarget(options, surroundingsOf(process.env)), options, "take over addresses");
  using progress = new Progress();
  const done = await DO[options.step](cluster, progress);
  return answer(done, options.step, cluster, progress, outputFor(options));
}

const DO: Record<TakeoverOptions["step"], (cluster: Cluster, progress: Progress) => Promise<Did>> = {
  plan: async (cluster, progress) => {
    const { state } = await readTakeover(cluster, progress);
    return { did: "", obstacles: state.mode === "coexist" ? obstaclesToFinish(state) : [] };
  },
  adopt,
  finish,
  back,
};

async function adopt(cluster: Cluster, progress: Progress): Promise<Did> {
  const { snapshot } = await readTakeover(cluster, progress);
  const { made, disputed } = await adoptAll(snapshot, cluster, progress);
  const obstacles =
    disputed > 0 ? [`${count(disputed, "address has", "addresses have")} two owners; railnet ipam audit`] : [];
  return { did: `${count(made, "reservation")} made or completed`, obstacles };
}

async function finish(cluster: Cluster, progress: Progress): Promise<Did> {
  const { state } = await readTakeover(cluster, progress);
  if (state.mode === "absent") return { did: "nothing: it was switched to absent before", obstacles: [] };
  const obstacles = obstaclesToFinish(state);
  if (obstacles.length > 0) return { did: "nothing", obstacles };
  await switchTo("absent", cluster);
  return { did: "switched to absent", obstacles };
}

async function back(cluster: Cluster, progress: Progress): Promise<Did> {
  const { state } = await readTakeover(cluster, progress);
  const obstacles = state.mode === "absent" ? obstaclesToBack(state) : [];
  if (obstacles.length > 0) return { did: "nothing", obstacles };
  if (state.mode === "absent") await switchTo("coexist", cluster);
  const late = await awaitAgents(cluster, progress);
  const written = await writeMissingRecords(cluster, progress);
  const was = state.mode === "absent" ? "switched to coexist" : "it was switched to coexist before";
  const slow = late.map(
    (node) => `the agent of ${node} has not switched yet; run this again before Whereabouts is started`,
  );
  return { did: `${was}; ${count(written, "missing record")} written`, obstacles: slow };
}

async function answer(
  { did, obstacles }: Did,
  step: TakeoverOptions["step"],
  cluster: Cluster,
  progress: Progress,
  output: Output,
): Promise<ExitCode> {
  const { state } = await readTakeover(cluster, progress);
  const isBack = step === "back" && obstacles.length === 0;
  const then = isBack ? "start Whereabouts" : next(state);
  output.answer({ ...state, did, obstacles, next: then }, () => summary(state, { did, obstacles, next: then }));
  return step === "plan" || obstacles.length === 0 ? 0 : 1;
}

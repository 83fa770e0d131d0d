import type { Argv } from "yargs";
import { canonicalIp } from "../../cni/protocol/ip.ts";
import { outputFor } from "../output.ts";
import { type CommonOptions, type ExitCode, running, UsageError, withCommon } from "./options.ts";
import { Progress } from "./progress.ts";
import { releaseInCluster } from "./release/in-cluster.ts";
import { releaseInDirectory } from "./release/in-directory.ts";
import type { ReleaseOutcome, Which } from "./release/which.ts";
import { findTarget, surroundingsOf } from "./store-target.ts";
import { requirePodref } from "./who.ts";

interface ReleaseOptions extends CommonOptions {
  readonly ip?: string | undefined;
  readonly pod?: string | undefined;
  readonly network?: string | undefined;
  readonly force: boolean;
}

export const registerRelease = (y: Argv): Argv =>
  y.command(
    "release [ip]",
    "releases an address, or all addresses of a pod",
    (y) =>
      withCommon(y)
        .positional("ip", { type: "string", describe: "the address" })
        .option("pod", { type: "string", describe: "instead: all addresses of this pod, namespace/name" })
        .option("network", {
          type: "string",
          describe: "network_name, where two networks have the address; '' for the unnamed",
        })
        .option("force", {
          type: "boolean",
          default: false,
          describe: "also of a running pod: its address may then be given to another",
        })
        .example("$0 ipam release 10.10.0.5 --network rail0", "refused while its pod is running")
        .example("$0 ipam release --pod default/worker-0", "")
        .epilogue(
          'With --json: [{"ip", "network", "podref", "ifname", "outcome", "why"}]; outcome is released, refused or changed ' +
            "(somebody was faster: look again). Exit code 1 when one of them was not released; an address that nobody has is fine.",
        ),
    running(release),
  );

async function release(options: ReleaseOptions): Promise<ExitCode> {
  const which = whichOf(options);
  const surroundings = surroundingsOf(process.env);
  const target = findTarget(options, surroundings);
  using progress = new Progress();
  const outcomes =
    target.kind === "directory"
      ? await releaseInDirectory(which, target.path, surroundings.paths.stateDir)
      : await releaseInCluster(which, target, options, progress);
  outputFor(options).answer(outcomes, () => report(outcomes));
  return outcomes.every(({ outcome }) => outcome === "released") ? 0 : 1;
}

/** @throws {UsageError} */
function whichOf({ ip: given, pod, network, force }: ReleaseOptions): Which {
  if ((given === undefined) === (pod === undefined))
    throw new UsageError("cannot tell what to release: want either an address or --pod NAMESPACE/NAME");
  if (pod !== undefined) requirePodref(pod);
  const ip = given === undefined ? undefined : canonicalIp(given);
  if (given !== undefined && ip === undefined)
    throw new UsageError(`cannot release ${JSON.stringify(given)}: want an IP address without prefix length`);
  return { ip, podref: pod, network, force };
}

function report(outcomes: readonly ReleaseOutcome[]): string {
  if (outcomes.length === 0) return "nobody has it: nothing to do\n";
  const lines = outcomes.map(({ ip, network, podref, ifname, outcome, why }) => {
    const whose = `${ip}${network && ` (${network})`} of ${podref}${ifname && ` (${ifname})`}`;
    return `${whose}: ${outcome}${why && `: ${why}`}`;
  });
  return `${lines.join("\n")}\n`;
}

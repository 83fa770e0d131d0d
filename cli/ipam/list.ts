import type { Argv } from "yargs";
import { outputFor } from "../output.ts";
import { type Filters, listing, matching } from "./listing.ts";
import { type CommonOptions, type ExitCode, running, withCommon } from "./options.ts";
import { Progress } from "./progress.ts";
import { readAddresses } from "./read-addresses.ts";
import { findTarget, surroundingsOf } from "./store-target.ts";

export const registerList = (y: Argv): Argv =>
  y.command(
    "list",
    "addresses that pods have",
    (y) =>
      withCommon(y)
        .option("network", { type: "string", describe: "only of this network_name; '' for the unnamed one" })
        .option("pool", { type: "string", describe: "only of this IPPool" })
        .option("node", { type: "string", describe: "only of pods on this node" })
        .option("pod", { type: "string", describe: "only of this pod: namespace/name, or name" })
        .example("$0 ipam list --network rail0 --node node-a", "what a node has on one rail")
        .example("$0 ipam list --json | jq -r '.[] | select(.by != \"both\").ip'", "not in both reservation and pool")
        .epilogue(JSON_SHAPE),
    running(list),
  );

const JSON_SHAPE =
  'With --json: [{"ip", "network", "pool", "podref", "ifname", "node", "podUid", "containerId", "since", "by"}], sorted ' +
  "by address; all are texts, empty when not known; since is ISO 8601; by is both (reservation and pool record), " +
  "reservation, record or file (of --directory).";

async function list(options: CommonOptions & Filters): Promise<ExitCode> {
  const target = findTarget(options, surroundingsOf(process.env));
  using progress = new Progress();
  const found = (await readAddresses(target, options, progress)).filter(matching(options));
  outputFor(options).answer(found, () => listing(found, Date.now()));
  return 0;
}

import type { Argv } from "yargs";
import { outputFor } from "../output.ts";
import { age, table } from "../table.ts";
import type { HeldAddress } from "./addresses.ts";
import { type CommonOptions, type ExitCode, running, UsageError, withCommon } from "./options.ts";
import { Progress } from "./progress.ts";
import { readAddresses } from "./read-addresses.ts";
import { findTarget, surroundingsOf } from "./store-target.ts";

export const registerWho = (y: Argv): Argv =>
  y.command(
    "who <pod>",
    "all addresses of a pod, by interface",
    (y) =>
      withCommon(y)
        .positional("pod", { type: "string", demandOption: true, describe: "namespace/name" })
        .example("$0 ipam who default/worker-0", "its rails")
        .epilogue("With --json: as `list`, sorted by interface. Exit code 1 when the pod has none."),
    running(who),
  );

async function who(options: CommonOptions & { readonly pod: string }): Promise<ExitCode> {
  const { pod } = options;
  requirePodref(pod);
  const target = findTarget(options, surroundingsOf(process.env));
  using progress = new Progress();
  const all = await readAddresses(target, options, progress);
  const own = all.filter(({ podref }) => podref === pod).toSorted((a, b) => (a.ifname < b.ifname ? -1 : 1));
  outputFor(options).answer(own, () => (own.length > 0 ? byInterface(own) : `${pod} has no addresses here\n`));
  return own.length > 0 ? 0 : 1;
}

/** @throws {UsageError} */
export function requirePodref(pod: string): void {
  if (!/^[^/]+\/[^/]+$/.test(pod))
    throw new UsageError(`cannot look up pod ${JSON.stringify(pod)}: want namespace/name, such as default/worker-0`);
}

const byInterface = (own: readonly HeldAddress[]): string =>
  table(
    [
      { title: "INTERFACE", of: ({ ifname }) => ifname },
      { title: "ADDRESS", of: ({ ip }) => ip },
      { title: "NETWORK", of: ({ network }) => network },
      { title: "POOL", of: ({ pool }) => pool },
      { title: "NODE", of: ({ node }) => node },
      { title: "AGE", of: ({ since }) => age(since, Date.now()) },
      { title: "BY", of: ({ by }) => by },
    ],
    own,
  );

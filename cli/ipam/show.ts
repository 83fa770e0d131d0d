import type { Argv } from "yargs";
import { canonicalIp } from "../../cni/protocol/ip.ts";
import { outputFor } from "../output.ts";
import { addressesIn } from "./directory.ts";
import { type CommonOptions, type ExitCode, running, UsageError, withCommon } from "./options.ts";
import { Progress } from "./progress.ts";
import { type Known, knownOf } from "./show/known.ts";
import { connectTo, findTarget, surroundingsOf } from "./store-target.ts";

export const registerShow = (y: Argv): Argv =>
  y.command(
    "show <ip>",
    "everything known of an address: reservation, pool records, pod, node, and who made them",
    (y) =>
      withCommon(y)
        .positional("ip", { type: "string", demandOption: true, describe: "the address" })
        .option("network", { type: "string", describe: "only of this network_name; '' for the unnamed one" })
        .example("$0 ipam show 10.10.0.5", "")
        .epilogue(
          'With --json: [{"ip", "network", "pools": [{"pool", "range", "isAdopted"}], "reservation", "records", "owners"}], ' +
            "one for each network that has the address in a pool or in use; reservation is null or " +
            '{"name", "podref", "ifname", "containerId", "podUid", "node", "pool", "since", "madeBy", "managers"}; records are ' +
            '[{"pool", "key", "podref", "ifname", "containerId"}]; owners are [{"podref", "exists", "uid", "phase", "node", ' +
            '"over"}]. Exit code 1 when nobody has it.',
        ),
    running(show),
  );

async function show(
  options: CommonOptions & { readonly ip: string; readonly network?: string | undefined },
): Promise<ExitCode> {
  const ip = canonicalIp(options.ip);
  if (ip === undefined)
    throw new UsageError(`cannot show ${JSON.stringify(options.ip)}: want an IP address without prefix length`);
  const target = findTarget(options, surroundingsOf(process.env));
  using progress = new Progress();
  const all =
    target.kind === "directory"
      ? inDirectory(target.path, ip)
      : await knownOf(ip, await connectTo(target, options, "show an address"), progress);
  const found = all.filter(({ network }) => options.network === undefined || network === options.network);
  outputFor(options).answer(found, () =>
    found.length > 0 ? found.map(toText).join("\n") : `nobody has ${ip}, and no pool has it\n`,
  );
  return found.some(({ reservation, records }) => reservation || records.length > 0) ? 0 : 1;
}

/** A directory has no reservations: its files are records. */
function inDirectory(path: string, ip: string): Known[] {
  const own = addressesIn(path).filter((one) => one.ip === ip);
  return [...Map.groupBy(own, ({ network }) => network)].map(([network, those]) => ({
    ...{ ip, network, reservation: null, owners: [], pools: [] },
    records: those.map(({ pool, podref, ifname, containerId }) => ({ pool, key: ip, podref, ifname, containerId })),
  }));
}

function toText({ ip, network, pools, reservation, records, owners }: Known): string {
  const lines = [
    `${ip}${network && `  network ${network}`}`,
    ...pools.map(({ pool, range, isAdopted }) => `  in pool      ${pool} (${range}${isAdopted ? ", adopted" : ""})`),
    reservation
      ? `  reservation  ${reservation.name}: ${reservation.podref} (${reservation.ifname || "interface not known"}), since ${reservation.since}`
      : "  reservation  none",
    ...(reservation ? madeLines(reservation) : []),
    ...records.map(
      (one) =>
        `  record       ${one.pool}[${one.key}]: ${one.podref} (${one.ifname || "interface not known"}), sandbox ${one.containerId || "not known"}`,
    ),
    ...(records.length === 0 ? ["  record       none"] : []),
    ...owners.map(({ podref, exists, phase, node, uid, over }) =>
      exists
        ? `  pod          ${podref}: ${phase}${node && ` on ${node}`}, UID ${uid}${over && `; ${over}`}`
        : `  pod          ${podref}: does not exist`,
    ),
  ];
  return `${lines.join("\n")}\n`;
}

function madeLines({ madeBy, managers, node, containerId }: NonNullable<Known["reservation"]>): string[] {
  const written = managers.length > 0 ? ` (field managers: ${managers.join(", ")})` : "";
  return [
    `  made by      ${madeBy}${node && ` on ${node}`}${written}`,
    ...(containerId ? [`  sandbox      ${containerId}`] : []),
  ];
}

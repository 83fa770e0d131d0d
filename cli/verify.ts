import { arch, hostname, release } from "node:os";
import type { Argv } from "yargs";
import { createHost, pathsFrom } from "../cni/node-host.ts";
import { createLog } from "../daemonset/log.ts";
import { VERSION } from "../daemonset/version.ts";
import { standAloneIpam } from "../ipam/stand-alone.ts";
import { firmwareOf } from "../kernel/driver-info.ts";
import { askByIoctl } from "../kernel/ethtool-ioctl.ts";
import { modelOf, pcieLinkOf } from "../kernel/pcie.ts";
import { driverOf, mtuOf, netdevOf, numVfsOf, speedOf } from "../kernel/sysfs.ts";
import { type ExitCode, running, UsageError } from "./ipam/options.ts";
import { fromCaller } from "./ipam/store-target.ts";
import { print } from "./output.ts";
import { Archive } from "./sysdump/archive.ts";
import { Redactor } from "./sysdump/redact.ts";
import { type Column, table } from "./table.ts";
import { Anonymous } from "./verify/anonymous.ts";
import { type RailToVerify, railsToVerify } from "./verify/rails.ts";
import { AddSteps, type Part, type RailVerdict, verifyRail } from "./verify/verify-rail.ts";

interface VerifyOptions {
  readonly json: boolean;
  readonly rail: readonly string[];
  readonly report: string | undefined;
  readonly configDir: string;
  readonly devicePlugins: string;
}

export const registerVerify = (y: Argv): Argv =>
  y.command(
    "verify",
    "proves each rail of this node with a free VF: ADD, RDMA ready, CHECK, ping, DEL, and all as before",
    (y) =>
      y
        .option("json", { type: "boolean", default: false, describe: "for scripts" })
        .option("rail", { type: "string", array: true, default: [] as string[], describe: "these alone" })
        .option("report", {
          type: "string",
          nargs: 1,
          describe:
            "an archive (tar.gz) for an issue: timings, kernel, driver, firmware, answers; without addresses and names",
        })
        .option("config-dir", {
          type: "string",
          default: "/etc/railnet/config",
          describe: "where the ConfigMap railnet-config is mounted",
        })
        .option("device-plugins", {
          type: "string",
          default: "/var/lib/kubelet/device-plugins",
          describe: "the kubelet's folder, which says which VFs pods have",
        })
        .example("kubectl -n kube-system exec POD -- railnet verify", "a node, in its agent's pod")
        .example("$0 verify --report verify.tar.gz", "what to attach to an issue")
        .epilogue(
          "A VF that a pod, the host, or the kubelet's checkpoint has is never touched; a pod that the kubelet gives the VF in these " +
            "seconds starts at its next try. Exit codes: 0 every rail passed; 1 one did not, or has no free VF.",
        ),
    running(verify),
  );

async function verify({ json, rail, report, configDir, devicePlugins }: VerifyOptions): Promise<ExitCode> {
  const quiet = createLog("silent");
  const steps = new AddSteps();
  const { step } = steps;
  const host = createHost({
    paths: pathsFrom(process.env),
    ipam: standAloneIpam(process.env, quiet),
    log: quiet,
    step,
  });
  const { rails, absent } = railsToVerify(host, { configDir, kubeletDir: devicePlugins });
  const known = [...rails, ...absent].map((one) => one.rail);
  const unknown = rail.find((one) => !known.includes(one));
  if (unknown !== undefined)
    throw new UsageError(`cannot verify rail ${unknown}: this node has ${known.join(", ") || "no rails"}`);
  const isAsked = (one: { readonly rail: string }) => rail.length === 0 || rail.includes(one.rail);
  const verdicts: RailVerdict[] = [];
  for (const [index, one] of rails.entries())
    if (isAsked(one)) verdicts.push(await verifyRail(one, index, host, steps));
  for (const { rail: name, why } of absent.filter(isAsked))
    verdicts.push({ rail: name, pf: "", ms: {}, addMs: {}, why });
  print(json ? `${JSON.stringify({ rails: verdicts }, null, 2)}\n` : textOf(verdicts));
  if (report !== undefined) await writeReport(fromCaller(report, process.env), rails, verdicts, host.paths.sysfs);
  return verdicts.length > 0 && verdicts.every(({ why }) => why === undefined) ? 0 : 1;
}

const PARTS: readonly Part[] = ["ADD", "ready", "CHECK", "ping", "DEL"];
const COLUMNS: readonly Column<RailVerdict>[] = [
  { title: "RAIL", of: ({ rail }) => rail },
  { title: "PF", of: ({ pf }) => pf },
  { title: "VF", of: ({ vf = "" }) => vf },
  ...PARTS.map((part): Column<RailVerdict> => ({ title: `${part} ms`, of: ({ ms }) => ms[part]?.toFixed(1) ?? "", isNumber: true })), // biome-ignore format: one row
  { title: "RESULT", of: ({ why }) => (why === undefined ? "passed" : "FAILED") },
];

/** For people. Pure. */
function textOf(verdicts: readonly RailVerdict[]): string {
  if (verdicts.length === 0) return "this node has no rails: nothing is proven (railnet status)\n";
  const why = verdicts.flatMap(({ rail, why, skipped }) => [
    ...(why === undefined ? [] : [`${rail}: ${why}\n`]),
    ...(skipped === undefined ? [] : [`${rail}: left out: ${skipped}\n`]),
  ]);
  return table(COLUMNS, verdicts) + (why.length > 0 ? `\n${why.join("")}` : "");
}

async function writeReport(
  to: string,
  rails: readonly RailToVerify[],
  verdicts: readonly RailVerdict[],
  sysfs: string,
): Promise<void> {
  using archive = new Archive(to, "railnet-verify");
  const anonymous = new Anonymous([hostname()]);
  const redactor = new Redactor();
  const add = (path: string, value: unknown) =>
    archive.add({ path, content: Buffer.from(anonymous.text(redactor.text(JSON.stringify(value)))) });
  add("verify.json", { rails: verdicts });
  add("node.json", {
    railnet: VERSION,
    kernel: release(),
    arch: arch(),
    rails: rails.map(({ rail, pfPci, config }) => ({ rail, config, ...cardOf(sysfs, pfPci) })),
  });
  await archive.close();
}

function cardOf(sysfs: string, pci: string): object {
  const netdev = netdevOf(sysfs, pci);
  return {
    pci,
    model: modelOf(sysfs, pci),
    driver: driverOf(sysfs, pci),
    vfs: numVfsOf(sysfs, pci),
    pcie: pcieLinkOf(sysfs, pci),
    ...(netdev && { mtu: mtuOf(sysfs, netdev), speed: speedOf(sysfs, netdev), firmware: firmwareOf(netdev, askByIoctl) }), // biome-ignore format: one row
  };
}

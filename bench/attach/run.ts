import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { Machine } from "../../lab/vm/machine.ts";
import { collect } from "./executables.ts";
import type { Timing } from "./interleave.ts";
import type { Task } from "./measure.ts";
import { compare, formatTable, type Row } from "./report.ts";

const project = resolve(import.meta.dirname, "../..");
const cache = join(project, ".cache/bench");
const collected = join(cache, "bin");
const MEASURE = join(import.meta.dirname, "measure.ts");
const VM_TIMEOUT_MS = 30 * 60_000;

const USAGE = `usage: node bench/attach/run.ts [option...] [REGEX]

ADD and DEL of Railnet, host-device + static, and ip -batch, interleaved; prints a table, writes bench/out/attach.json.
  --on      host: veth pairs in namespaces of this machine, also under the cgroup of a thick Multus;
            vm: real VFs; default host,vm
  --rounds  with one attachment at once (default 30 on the host, 20 in the VM)
  --dist    directory of railnet and railnet-shim (default dist)
  --peers   directory of host-device and static (default .cache/peers/bin)
  --no-ipam links without addresses: what is left is the kernel's work and ours
  --check   exit with 1 when a promise was missed
  REGEX     of the cases, such as add/1/ or version`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      on: { type: "string", default: "host,vm" },
      rounds: { type: "string" },
      dist: { type: "string", default: join(project, "dist") },
      peers: { type: "string", default: join(project, ".cache/peers/bin") },
      "no-ipam": { type: "boolean", default: false },
      check: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  collect(values.dist, values.peers, collected);
  const rows: Row[] = [];
  for (const place of values.on.split(",")) {
    console.error(`measuring on the ${place} …`);
    const rounds = Number(values.rounds ?? (place === "vm" ? 20 : 30));
    const options = { rounds, filter: positionals[0] ?? "", ipam: !values["no-ipam"] };
    rows.push(...(place === "vm" ? await onVm(options) : onHost(options)));
  }
  report(rows);
  return values.check && rows.some(({ kept, failed }) => kept === false || failed > 0) ? 1 : 0;
}

type Options = Pick<Task, "rounds" | "filter" | "ipam">;

/** This machine, in network and mount namespaces that nothing else sees; the journal on its disk. */
function onHost(options: Options): Row[] {
  const stateDir = mkdtempSync(join(cache, "state-"));
  const task: Task = { place: "host", dir: collected, stateDir, ...options };
  const command = ["-mn", "--propagation", "private", process.execPath, MEASURE, JSON.stringify(task)];
  const { status, stdout } = spawnSync("unshare", command, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  rmSync(stateDir, { recursive: true });
  if (status !== 0) throw new Error(`cannot measure on the host: see above (exit ${status})`);
  const timings = JSON.parse(stdout) as Timing[];
  const { thick = [], host = [] } = Object.groupBy(timings, (t) => (t.label.startsWith("thick/") ? "thick" : "host"));
  return [
    ...compare("host", host),
    ...compare(
      "thick",
      thick.map((timing) => ({ ...timing, label: timing.label.slice("thick/".length) })),
    ),
  ];
}

/** A guest with real VFs; everything that is timed, and the journal, lies in its memory. */
async function onVm(options: Options): Promise<Row[]> {
  await using machine = await Machine.start({ name: "bench", vfs: 4, memoryMiB: 1536 });
  const dir = "/tmp/railnet-bench";
  await machine.ask(`cp -r ${collected} ${dir}`);
  const task: Task = { place: "vm", dir, stateDir: "/tmp/railnet-state", ...options };
  const argv = [process.execPath, MEASURE, JSON.stringify(task)];
  const { exit, stdout, stderr } = await machine.exec(argv, { timeoutMs: VM_TIMEOUT_MS });
  if (stderr) console.error(stderr.trim());
  if (exit !== 0) throw new Error(`cannot measure in the VM: see above (exit ${exit})`);
  return compare("vm", JSON.parse(stdout) as Timing[]);
}

function report(rows: readonly Row[]): void {
  console.log(formatTable(rows));
  mkdirSync(join(project, "bench/out"), { recursive: true });
  writeFileSync(join(project, "bench/out/attach.json"), `${JSON.stringify({ rows }, undefined, 2)}\n`);
}

process.exitCode = await main().catch((error: Error) => {
  console.error(error.message);
  return 2;
});

// Callers of the real Whereabouts and of ours on one pool and on one that overlaps it, Whereabouts' reconciler running;
// in the middle the takeover and the way back. RAILNET_INTEROP_SECONDS is for how long both give addresses (default 20:
// the whole is a minute or two), RAILNET_INTEROP_SEED for what they do. 50 callers of ours, which rest between two calls:
// else they take the processor from Whereabouts, whichever pool they use; and RAILNET_INTEROP_PEERS of Whereabouts
// (default 10): it serves one at a time, and 50 processes that wait for its lease take a minute to end.
import { setTimeout as sleep } from "node:timers/promises";
import t, { type Test } from "tap";
import { ApiServer } from "../../../lab/cluster/api-server.ts";
import { readAudit } from "../../../lab/cluster/audit.ts";
import { takePicture, whatIsWrong } from "../../../lab/cluster/checker.ts";
import { ClusterNode } from "../../../lab/cluster/cluster-node.ts";
import { installAgent, installCrds } from "../../../lab/cluster/install.ts";
import { makeNode } from "../../../lab/cluster/objects.ts";
import type { Json } from "../../../lab/cluster/raw.ts";
import { Whereabouts } from "../../../lab/cluster/whereabouts.ts";
import { fileSeed } from "../../../lab/seed.ts";
import { until } from "../../../lab/until.ts";
import { dice, POOLS, setMode } from "../addresses/support/world.ts";
import { ipam } from "../commands/support/railnet.ts";
import { type InteropPod, Pods, type Tally, type Who } from "./support/pods.ts";

const SECONDS = Number(process.env["RAILNET_INTEROP_SECONDS"] ?? 20);
const SEED = Number(process.env["RAILNET_INTEROP_SEED"] ?? fileSeed());
const CALLERS: Readonly<Record<Who, number>> = {
  railnet: 50,
  whereabouts: Number(process.env["RAILNET_INTEROP_PEERS"] ?? 10),
};
/**
 * Ours also uses a pool that lies in the common one. Theirs does not: while its reconciler runs, the real Whereabouts gave
 * one address to two pods of its own, through two pools that overlap (it frees the reservation of an ADD that still runs).
 */
const RANGES: Readonly<Record<Who, readonly string[]>> = {
  railnet: ["10.60.0.0/22", "10.60.0.0/23"],
  whereabouts: ["10.60.0.0/22"],
};
/** Where ours are while Whereabouts is measured without us: the same work, and no object in common. */
const ELSEWHERE = ["10.61.0.0/22"];
/** Of ours, between two calls. */
const REST_MS = 4000;
/** Of each side, so that no pool is ever full. */
const MOST_PODS: Readonly<Record<Who, number>> = { railnet: 80, whereabouts: 30 };
/** Pods of each side that nobody ends during takeover and way back. */
const STAYING = 3;

t.setTimeout((SECONDS * 3 + 400) * 1000);
t.jobs = 1;
t.comment(`seed ${SEED}`);
const api = await ApiServer.start({ audit: true });
const nodes: ClusterNode[] = [];
t.teardown(async () => {
  await Promise.all(nodes.map((node) => node.stop("SIGKILL")));
  await api.stop();
});
await installCrds(api.raw);
await setMode(api.raw, "coexist");
const kubeconfig = api.kubeconfig({ token: await installAgent(api) });
const whereabouts = await Whereabouts.install(api);
for (const name of ["node-0", "node-1", "node-2", "node-3"]) {
  await makeNode(api.raw, name);
  await api.raw.merge(`/api/v1/nodes/${name}/status`, {
    status: { conditions: [{ type: "Ready", status: "True", reason: "KubeletReady", message: "" }] },
  });
  nodes.push(new ClusterNode(name, { folder: api.folder, kubeconfig }));
}
await Promise.all(nodes.map((node) => node.start()));
const pods = new Pods(api, whereabouts);
const running: Record<Who, InteropPod[]> = { railnet: [], whereabouts: [] };
const random = dice(SEED);

/** One caller after the other starts and ends pods until then. The last call of each is waited for. */
async function churn(by: Who, seconds: number, ranges = RANGES[by]): Promise<{ perSecond: number; tally: Tally }> {
  const [begin, before] = [performance.now(), { ...pods.tally[by], errors: [...pods.tally[by].errors] }];
  const end = begin + seconds * 1000;
  let inTime = 0;
  const caller = async () => {
    while (performance.now() < end) {
      const mine = running[by];
      const one =
        mine.length >= MOST_PODS[by] || (mine.length > 0 && random(5) < 2)
          ? mine.splice(random(mine.length), 1)[0]
          : undefined;
      if (one) await pods.end(one);
      else {
        const made = await pods.start(by, nodes[random(nodes.length)]!, ranges[random(ranges.length)]!);
        if (made) mine.push(made);
      }
      if (performance.now() < end) inTime++;
      if (by === "railnet") await sleep(Math.min(random(2 * REST_MS), Math.max(0, end - performance.now())));
    }
  };
  await Promise.all(Array.from({ length: CALLERS[by] }, caller));
  const { done, failed, errors } = pods.tally[by];
  const tally = {
    done: done - before.done,
    failed: failed - before.failed,
    errors: errors.slice(before.errors.length),
  };
  return { perSecond: inTime / seconds, tally };
}

/** Nothing, as soon as nothing is wrong; else what still is after the owners had time to put it right. */
async function wrong(t: Test): Promise<string[]> {
  const folders = nodes.map(({ folder }) => folder);
  for (const begin = Date.now(); ; await sleep(500)) {
    const faults = whatIsWrong(await takePicture(api.raw, folders), pods.living);
    if (faults.length === 0) return [];
    if (Date.now() - begin < 30_000) continue; // what is theirs goes by itself, or never
    const ours = faults.filter((fault) => !isTheirs(t, fault));
    if (ours.length === 0 || Date.now() - begin > 120_000) return ours;
  }
}

const isDeletedByThem = (ip: string): boolean =>
  readAudit(api).findLast(({ verb, name, status }) => verb === "delete" && name === ip && status === 200)?.user ===
  "whereabouts";

/** Of a pod of Whereabouts, whose reservation Whereabouts itself deleted: its reconciler takes an ADD that still runs for garbage. */
function isTheirs(t: Test, fault: string): boolean {
  const ip = /^\/(\S+) of default\/whereabouts-\d+ net1 is alive and not reserved$/.exec(fault)?.[1];
  if (!ip || !isDeletedByThem(ip)) return false;
  t.comment(`${fault}: Whereabouts deleted it itself`);
  return true;
}

const rate = ({ done, failed }: Tally): number => failed / Math.max(1, done + failed);
const say = (t: Test, what: string, { perSecond, tally }: { perSecond: number; tally: Tally }) =>
  t.comment(
    `${what}: ${perSecond.toFixed(1)} pods a second, ${tally.failed} of ${tally.done + tally.failed} calls failed; ${[...new Set(tally.errors)].slice(0, 3).join("; ")}`,
  );

const reconcilerOf = () => whereabouts.reconciler("@every 5s");

t.test("Whereabouts and Railnet give addresses of the same pools", async (t) => {
  const [, solo] = await Promise.all([churn("railnet", SECONDS / 2, ELSEWHERE), churn("whereabouts", SECONDS / 2)]);
  say(t, "Whereabouts, alone on its pool", solo);
  const before = readAudit(api).length;
  const reconciler = reconcilerOf();
  const [ours, theirs] = await Promise.all([churn("railnet", SECONDS), churn("whereabouts", SECONDS)]);
  say(t, "Railnet", ours);
  say(t, "Whereabouts", theirs);
  t.notOk(reconciler.ended, "its reconciler ran all the time");
  await reconciler.stop();
  t.same(await wrong(t), [], "no address has two owners, none is lost");
  const patches = readAudit(api)
    .slice(before)
    .filter(({ user, verb, resource }) => user === "whereabouts" && verb === "patch" && resource === "ippools");
  const refused = patches.filter(({ status }) => status !== 200).length;
  t.comment(`of its ${patches.length} patches ${refused} were refused (one in four without turns)`);
  t.comment(`Whereabouts' failure rate: ${rate(solo.tally)} alone on its pool, ${rate(theirs.tally)} beside us`);
  t.ok(
    theirs.tally.failed <= 1 || rate(theirs.tally) <= rate(solo.tally),
    "its calls fail no more often than without us",
  );
  t.equal(ours.tally.failed, 0, "ours did not fail");
  t.ok(ours.perSecond >= theirs.perSecond, "ours gave at least as many");
});

t.test("takeover while pods live, and the way back", async (t) => {
  const staying = (["railnet", "whereabouts"] as const).map((by) => ({ by, them: running[by].splice(0, STAYING) }));
  const before = pods.living.filter(({ id }) =>
    staying.some(({ them }) => them.some(({ sandbox }) => sandbox.id === id)),
  );
  await setMode(api.raw, "absent");
  const adopted = async () =>
    (await api.raw.list(POOLS)).map(({ metadata }) => !!metadata.annotations?.["railnet.io/adopted"]);
  await until("the pools are adopted", adopted, (all) => all.length === 3 && all.every(Boolean));
  await pods.end(running.whereabouts.pop()!, "railnet"); // its node's plugin is ours now
  say(t, "Railnet, Whereabouts gone", await churn("railnet", SECONDS / 5));
  t.same(await wrong(t), [], "adopted pools agree with what lives");
  const back = await ipam(["takeover", "back", "--json", "--kubeconfig", api.kubeconfig()]);
  t.equal(back.exit, 0, back.stdout + back.stderr);
  const reconciler = reconcilerOf();
  const both = await Promise.all([churn("railnet", SECONDS / 5), churn("whereabouts", SECONDS / 5)]);
  say(t, "Railnet, after the way back", both[0]);
  say(t, "Whereabouts, after the way back", both[1]);
  await reconciler.stop();
  t.same(await wrong(t), [], "no address has two owners, none is lost");
  const now = new Map(pods.living.map(({ id, ips }) => [id, ips]));
  t.equal(before.length, 2 * STAYING);
  t.same(
    before.map(({ id }) => now.get(id)),
    before.map(({ ips }) => ips),
    "pods lived through it with their addresses",
  );
  for (const { by, them } of staying) running[by].push(...them);
});

t.test("railnet ipam audit, and the end of every pod", async (t) => {
  const { json } = await ipam(["audit", "--json", "--kubeconfig", api.kubeconfig()]);
  t.same(
    json.findings.filter(({ kind, ip }: Json) => kind !== "lost" || !isDeletedByThem(ip)),
    [],
  );
  await Promise.all(running.railnet.map((pod) => pods.end(pod)));
  // In turn: as many processes at once would wait for one lease until they give up.
  for (const pod of running.whereabouts.slice(0, 10)) await pods.end(pod);
  t.same(await wrong(t), [], "nothing is left of those that ended");
});

// An agent is killed while its request for an address is on the way: the DEL that follows finds nothing to give back, and then
// the reservation comes. The DEL's record remembers that it may, and is released once more, no later than stated here.
import t from "tap";
import { installAgent } from "../../../lab/cluster/install.ts";
import { deletePod } from "../../../lab/cluster/objects.ts";
import { until } from "../../../lab/until.ts";
import { RESERVATIONS, setMode } from "../addresses/support/world.ts";
import { configOf } from "./support/runtime.ts";
import { startStage } from "./support/stage.ts";

t.setTimeout(600_000);
/** After this no request arrives any more: `--grace-seconds` makes it shorter, by default 65 (SETTLE_MS in ipam/journal.ts). */
const SETTLE_SECONDS = 30;
/** The agent looks for records that others left (15 s), then lets them settle. The node's GC would need two graces and a look. */
const BOUND_SECONDS = 15 + SETTLE_SECONDS;
/** For the work itself, on a busy machine. */
const BUSY_SECONDS = 30;
/** Until the request arrives: longer than the kill and the DEL take. */
const ON_THE_WAY_MS = 20_000;

const { api, proxy, runtime } = await startStage();
await setMode(api.raw, "absent");
const kubeconfig = api.kubeconfig({ token: await installAgent(api), server: proxy.url });
const node = await runtime.node("node-a", { kubeconfig });
const start = () => node.start("--grace-seconds", `${SETTLE_SECONDS}`);
const held = async () =>
  (await api.raw.list(RESERVATIONS)).map(({ metadata, spec }) => `${metadata.name} ${spec.podref}`);

t.test(`a reservation that arrives behind its DEL is gone within ${BOUND_SECONDS} s`, async (t) => {
  await start();
  const rail = configOf("rail0", "10.20.0.0/24");
  const first = await runtime.sandbox(node, "agent", "rail0", rail);
  t.equal((await runtime.add(first)).exit, 0);
  const before = await held();

  proxy.on({ effect: { kind: "slow", ms: ON_THE_WAY_MS }, method: "POST", path: /overlappingrangeipreservations/ });
  const posts = proxy.counted(/^POST overlapping/);
  const late = await runtime.sandbox(node, "agent", "rail0", rail);
  const add = runtime.add(late);
  await until(
    "the request is on the way",
    async () => proxy.counted(/^POST overlapping/),
    (count) => count > posts,
  );
  await node.stop("SIGKILL");
  t.not((await add).exit, 0, "nobody answers the ADD");
  t.equal((await runtime.del({ ...late, way: "alone" })).exit, 0, "DEL");
  t.same(await held(), before, "the request has not arrived yet");
  const record = node.claims().find(({ owner }) => owner.podref === `default/${late.pod}`);
  t.match(record, { phase: "releasing", unfinished: "unclear" }, "it is remembered that it may");
  await deletePod(api.raw, late.pod);
  await start();

  const isThere = (all: string[]) => all.some((line) => line.endsWith(`default/${late.pod}`));
  t.ok(isThere(await until("the request arrives", held, isThere)));
  const began = performance.now();
  t.same(
    await until("freed", held, (all) => !isThere(all), { limitMs: (BOUND_SECONDS + BUSY_SECONDS) * 1000 }),
    before,
  );
  t.comment(`freed after ${((performance.now() - began) / 1000).toFixed(1)} s`);
  const byItsRecord = `"containerID":"${late.id}","outcome":"released"`;
  await until(
    "by its own record",
    () => node.log(),
    (log) => log.includes(byItsRecord),
  );
  t.same(await runtime.wrong("rail0"), [], "nothing else is wrong");
});

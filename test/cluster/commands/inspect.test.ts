import { writeFileSync } from "node:fs";
import t from "tap";
import { ApiServer } from "../../../lab/cluster/api-server.ts";
import { installCrds } from "../../../lab/cluster/install.ts";
import { deletePod, makeNode, makePod } from "../../../lab/cluster/objects.ts";
import type { Json } from "../../../lab/cluster/raw.ts";
import { pages } from "../../docs/support/markdown.ts";
import { makePool, makeReservation, recordsOf, reservationNames, setMode } from "./support/objects.ts";
import { ipam } from "./support/railnet.ts";

const api = await ApiServer.start();
t.teardown(() => api.stop());
const { raw } = api;
await installCrds(raw);
await makeNode(raw, "node-a");
await setMode(raw, "absent");
const kubeconfig = api.kubeconfig();
const run = (...args: string[]) => ipam([...args, "--json", "--kubeconfig", kubeconfig]);
const POOL = "rail0-10.10.0.0-16";
const worker = await makePod(raw, "worker", { node: "node-a" });
const ours = { pool: POOL, network: "rail0", node: "node-a", podUid: worker.metadata.uid };
await makePool(raw, POOL, "10.10.0.0/16", { 1: { podref: "default/worker" }, 300: { podref: "default/other" } }, true);
await makePool(raw, "fd00-10---64", "fd00:10::/64", { 5: { podref: "default/worker", ifname: "net2" } });
await makeReservation(raw, "rail0-10.10.0.1", { podref: "default/worker" }, ours);
await makeReservation(raw, "rail0-10.10.0.2", { podref: "default/gone" }, { ...ours, podUid: "gone" });
await makeReservation(raw, "rail0-10.10.1.44", { podref: "default/other" });
await makeReservation(raw, "fd00-10--5", { podref: "default/worker", ifname: "net2" });

t.test("railnet ipam list has what reservations and pools have", async (t) => {
  const { exit, json } = await run("list");
  t.equal(exit, 0);
  t.same(
    json.map(({ ip, network, pool, podref, ifname, node, by }: Json) => [ip, network, pool, podref, ifname, node, by]),
    [
      ["10.10.0.1", "rail0", POOL, "default/worker", "net1", "node-a", "both"],
      ["10.10.0.2", "rail0", POOL, "default/gone", "net1", "node-a", "reservation"],
      ["10.10.1.44", "rail0", POOL, "default/other", "net1", "", "both"],
      ["fd00:10::5", "", "fd00-10---64", "default/worker", "net2", "", "both"],
    ],
  );
  t.equal(json[0].podUid, worker.metadata.uid);
  t.equal(json[0].containerId, "c-worker");
  t.ok(Date.parse(json[0].since) > 0);
  t.same(
    (await run("list", "--node", "node-a", "--pod", "worker")).json.map(({ ip }: Json) => ip),
    ["10.10.0.1"],
  );
  t.same(
    (await run("list", "--network", "")).json.map(({ ip }: Json) => ip),
    ["fd00:10::5"],
  );
});

t.test("railnet ipam who lists a pod's interfaces, and fails for a pod that has none", async (t) => {
  const { json, exit } = await run("who", "default/worker");
  t.equal(exit, 0);
  t.same(
    json.map(({ ifname, ip }: Json) => [ifname, ip]),
    [
      ["net1", "10.10.0.1"],
      ["net2", "fd00:10::5"],
    ],
  );
  const none = await run("who", "default/nobody");
  t.equal(none.exit, 1);
  t.same(none.json, []);
});

t.test("railnet ipam show tells reservation, records, pod and who made them", async (t) => {
  const { json, exit } = await run("show", "10.10.0.1");
  t.equal(exit, 0);
  t.match(json, [
    {
      network: "rail0",
      pools: [{ pool: POOL, range: "10.10.0.0/16", isAdopted: true }],
      reservation: { name: "rail0-10.10.0.1", podref: "default/worker", node: "node-a", madeBy: "Railnet" },
      records: [{ pool: POOL, key: "1", podref: "default/worker", containerId: "c-worker" }],
      owners: [{ podref: "default/worker", exists: true, phase: "Running", node: "node-a", over: "" }],
    },
  ]);
  t.match((await run("show", "10.10.0.2")).json[0].owners, [{ exists: false, over: "its pod does not exist" }]);
  t.match((await run("show", "fd00:10:0:0::5")).json[0].reservation, { name: "fd00-10--5", madeBy: "Whereabouts" });
  const free = await run("show", "10.10.9.9");
  t.equal(free.exit, 1);
  t.match(free.json, [{ network: "rail0", reservation: null, records: [], owners: [] }]);
  t.same((await run("show", "192.168.0.1")).json, []);
});

t.test("railnet ipam stats counts by pool and node", async (t) => {
  const { json } = await run("stats");
  t.equal(json.mode, "absent");
  t.match(json.pools, [
    { pool: "fd00-10---64", size: "18446744073709551614", used: 1, lag: 0 },
    { pool: POOL, network: "rail0", size: "65534", used: 3, free: "65531", reservations: 3, records: 2, lag: 1 },
  ]);
  t.same(json.nodes, [
    { node: "", used: 2 },
    { node: "node-a", used: 2 },
  ]);
});

t.test("railnet ipam explain names the next address and who has those before, and changes nothing", async (t) => {
  const config = {
    cniVersion: "1.0.0",
    name: "rail0",
    ipam: { type: "whereabouts", range: "10.10.0.0/16", network_name: "rail0", exclude: ["10.10.0.3/32"] },
  };
  const file = `${t.testdir()}/rail0.conf`;
  writeFileSync(file, JSON.stringify(config));
  const before = await reservationNames(raw);
  const { json, exit } = await run("explain", "--config", file, "--pod", "default/new");
  t.equal(exit, 0);
  t.match(json, [{ pool: POOL, ip: "10.10.0.4", taken: 3, order: "lowest" }]);
  t.same(json[0].skipped, [
    { ip: "10.10.0.1", why: "default/worker (net1) on node-a has it" },
    { ip: "10.10.0.2", why: "default/gone (net1) on node-a has it" },
    { ip: "10.10.0.3", why: "excluded" },
  ]);
  const own = await ipam(["explain", "--config", "-", "--pod", "default/worker", "--kubeconfig", kubeconfig], {
    input: JSON.stringify(config),
  });
  t.match(own.stdout, /^10\.10\.0\.1: the interface has it already\n/);
  const full = { ...config, ipam: { ...config.ipam, range_start: "10.10.0.1", range_end: "10.10.0.3" } };
  const none = await ipam(["explain", "--config", "-", "--kubeconfig", kubeconfig], { input: JSON.stringify(full) });
  t.equal(none.exit, 1);
  t.match(none.stdout, /^no address: every address of the range is taken or excluded\n/);
  t.same(await reservationNames(raw), before);
});

t.test("railnet ipam release refuses a living pod's address, and says so", async (t) => {
  const refused = await run("release", "10.10.0.1");
  t.equal(refused.exit, 1);
  t.match(refused.json, [{ ip: "10.10.0.1", outcome: "refused", why: /its pod is running \(Running on node-a\)/ }]);
  t.ok((await reservationNames(raw)).includes("rail0-10.10.0.1"));
  const released = await run("release", "10.10.0.2");
  t.equal(released.exit, 0);
  t.match(released.json, [{ ip: "10.10.0.2", network: "rail0", podref: "default/gone", outcome: "released" }]);
  t.notOk((await reservationNames(raw)).includes("rail0-10.10.0.2"));
  t.same((await run("release", "10.10.0.2")).json, [], "a second time is fine");
  const forced = await run("release", "--pod", "default/worker", "--force");
  t.equal(forced.exit, 0);
  t.same(
    forced.json.map(({ ip, outcome }: Json) => [ip, outcome]),
    [
      ["10.10.0.1", "released"],
      ["fd00:10::5", "released"],
    ],
  );
  t.same(await reservationNames(raw), ["rail0-10.10.1.44"]);
  t.same(Object.keys(await recordsOf(raw, POOL)), ["300"]);
  t.same(await recordsOf(raw, "fd00-10---64"), {});
});

t.test("railnet ipam looks in the namespace that is named", async (t) => {
  const { json } = await run("list", "--namespace", "default");
  t.same(json, []);
  await deletePod(raw, "worker");
});

for (const { args, message } of [
  { args: ["list", "--foo"], message: /Unknown argument: foo/ },
  { args: [], message: /which command/ },
  { args: ["who", "worker"], message: /want namespace\/name/ },
  { args: ["show", "10.10.0.0/16"], message: /want an IP address without prefix length/ },
  { args: ["release"], message: /want either an address or --pod/ },
  { args: ["release", "10.0.0.1", "--pod", "a/b"], message: /want either an address or --pod/ },
  { args: ["audit", "--grace-seconds", "-1"], message: /want a number of seconds/ },
  { args: ["takeover", "sideways"], message: /Choices: "plan", "adopt", "finish", "back"/ },
])
  t.test(`railnet ipam ${args.join(" ")} is wrong usage`, async (t) => {
    const { exit, stderr, stdout } = await ipam(args, { env: { KUBECONFIG: kubeconfig } });
    t.equal(exit, 2);
    t.match(stderr, message);
    t.equal(stdout, "");
  });

for (const { file, line, text } of pages.flatMap(({ blocks }) => blocks).filter(({ runs }) => runs === " cluster"))
  t.test(`shell in ${file}:${line} runs beside an API server`, async (t) => {
    for (const command of text
      .split("\n")
      .map((one) => one.replace(/ +#.*$/, "").trim())
      .filter(Boolean)) {
      const [program, group, ...args] = command.split(" ");
      t.same([program, group], ["railnet", "ipam"], command);
      const { exit, stdout, stderr } = await ipam(args, { env: { KUBECONFIG: kubeconfig } });
      t.ok(exit === 0 || exit === 1, `${command}: ${exit} ${stderr}`); // 1: something is wrong here, or could not be done
      t.ok(stdout.length > 0, `${command} answers: ${stderr}`);
    }
  });

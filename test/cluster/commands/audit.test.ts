import t from "tap";
import { ApiServer } from "../../../lab/cluster/api-server.ts";
import { installCrds } from "../../../lab/cluster/install.ts";
import { deletePod, makeNode, makePod } from "../../../lab/cluster/objects.ts";
import type { Json } from "../../../lab/cluster/raw.ts";
import {
  makePool,
  makeReservation,
  networkStatus,
  OBJECTS,
  recordsOf,
  reservationNames,
  setMode,
} from "./support/objects.ts";
import { ipam } from "./support/railnet.ts";

const api = await ApiServer.start();
t.teardown(() => api.stop());
const { raw } = api;
const kubeconfig = api.kubeconfig();
await installCrds(raw);
const audit = (...args: string[]) => ipam(["audit", "--json", "--kubeconfig", kubeconfig, ...args]);
const brief = ({ json }: { json: Json }): string[] =>
  json.findings.map(({ kind, network, ip, fix }: Json) => `${kind} ${network}/${ip} ${fix}`).sort();
const reservation = (name: string) => `${OBJECTS}/overlappingrangeipreservations/${name}`;

const POOL = "rail0-10.10.0.0-16";
const ours = (podUid: string, node: string) => ({ pool: POOL, network: "rail0", podUid, node });

t.test("railnet ipam audit of an empty cluster finds nothing", async (t) => {
  const { exit, json } = await audit();
  t.equal(exit, 0);
  t.same(json, { mode: "coexist", findings: [], notes: [] });
  const { stdout } = await ipam(["audit", "--kubeconfig", kubeconfig]);
  t.equal(stdout, "nothing is wrong: pools, reservations and pods agree\n");
});

/** One cluster with one of everything; what of it is right stays right. */
async function makeState() {
  await setMode(raw, "absent");
  await makeNode(raw, "node-a");
  const live = await makePod(raw, "live", { node: "node-a", annotations: networkStatus(["net1", "10.10.0.1"]) });
  const twin = await makePod(raw, "twin", { node: "node-a", annotations: networkStatus(["net1", "10.10.0.20"]) });
  await makePod(raw, "robbed", { node: "node-a", annotations: networkStatus(["net1", "10.10.0.30"]) });
  await makePod(raw, "recorded", { node: "node-a" });
  await makePod(raw, "finished", { node: "node-a", phase: "Succeeded" });
  const again = await makePod(raw, "again", { node: "gone-node" });
  await makePool(
    raw,
    POOL,
    "10.10.0.0/16",
    {
      1: { podref: "default/live" },
      20: { podref: "default/live", ifname: "net2" },
      40: { podref: "default/gone" },
      41: { podref: "default/gone-too" },
      50: { podref: "default/recorded" },
      junk: { podref: "default/live" },
      60: { podref: "", id: "resv:node-a" },
    },
    true,
  );
  await makeReservation(raw, "rail0-10.10.0.1", { podref: "default/live" }, ours(live.metadata.uid, "node-a"));
  await makeReservation(raw, "rail0-10.10.0.20", { podref: "default/twin" }, ours(twin.metadata.uid, "node-a"));
  await makeReservation(raw, "rail0-10.10.0.40", { podref: "default/gone" }, ours("u1", "node-a"));
  await makeReservation(raw, "rail0-10.10.0.41", { podref: "default/gone-too" }, ours("u2", "gone-node"));
  await makeReservation(raw, "rail0-10.10.0.42", { podref: "default/finished" });
  await makeReservation(raw, "rail0-10.10.0.43", { podref: "default/nobody" });
  await makeReservation(raw, "rail0-10.10.0.44", { podref: "default/again" }, ours("an-older-one", "gone-node"));
  return { live, twin, again };
}

const WRONG = [
  "duplicate rail0/10.10.0.20 none",
  "lost rail0/10.10.0.30 reserve",
  "orphan rail0/10.10.0.40 none", // its node is there: its agent's
  "orphan rail0/10.10.0.41 free", // its node is gone
  "orphan rail0/10.10.0.42 none", // no node named, and its pod still exists
  "orphan rail0/10.10.0.43 free", // no node named, and no such pod
  "orphan rail0/10.10.0.44 free", // another pod of that name
  "stranger rail0/ none",
  "stranger rail0/10.10.0.60 none",
  "unreserved rail0/10.10.0.50 reserve",
];

t.test("railnet ipam audit finds one of every kind, and --fix acts by the safe rules alone", async (t) => {
  const { again } = await makeState();
  const before = { names: await reservationNames(raw), records: await recordsOf(raw, POOL) };
  const dry = await audit();
  t.equal(dry.exit, 1);
  t.same(brief(dry), WRONG);
  t.same({ names: await reservationNames(raw), records: await recordsOf(raw, POOL) }, before, "and changes nothing");

  const fixed = await audit("--fix", "--grace-seconds", "1");
  t.equal(fixed.exit, 1, "what is for a person stays");
  t.match(fixed.stderr, /10 findings, 5 can be fixed; the second look comes in 1 s/);
  const outcome = Object.fromEntries(fixed.json.findings.map(({ ip, outcome }: Json) => [ip, outcome]));
  for (const ip of ["10.10.0.30", "10.10.0.41", "10.10.0.43", "10.10.0.44", "10.10.0.50"])
    t.equal(outcome[ip], "done", ip);
  for (const ip of ["10.10.0.20", "10.10.0.40", "10.10.0.42", "10.10.0.60", ""])
    t.match(outcome[ip], /^left: /, ip || "junk");

  const kept = before.names.filter((name) => !/\.4[134]$/.test(name));
  t.same(await reservationNames(raw), [...kept, "rail0-10.10.0.30", "rail0-10.10.0.50"].sort());
  const { 41: _, ...records } = before.records;
  t.same(await recordsOf(raw, POOL), records, "the freed one's record went, every other one is as it was");
  const robbed = await raw.get(reservation("rail0-10.10.0.30"));
  t.match(robbed.spec, { podref: "default/robbed", ifname: "net1" });
  const recorded = await raw.get(reservation("rail0-10.10.0.50"));
  t.match(recorded.spec, { podref: "default/recorded", ifname: "net1", containerid: "c-recorded" });
  t.match(recorded.metadata.labels, { "railnet.io/node": "node-a", "railnet.io/pool": POOL });
  t.ok(again.metadata.uid);
  t.same(
    brief(await audit()),
    WRONG.filter((one) => / none$/.test(one)),
    "what is left is found again",
  );
});

t.test("railnet ipam audit --fix leaves what changes between its two looks", async (t) => {
  await makeReservation(raw, "rail0-10.10.0.70", { podref: "default/back" });
  await makeReservation(raw, "rail0-10.10.0.71", { podref: "default/away" });
  const meanwhile = async () => {
    await makePod(raw, "back", { node: "node-a" });
    await raw.merge(reservation("rail0-10.10.0.71"), { metadata: { labels: { touched: "yes" } } });
  };
  const { json } = await ipam(["audit", "--json", "--kubeconfig", kubeconfig, "--fix", "--grace-seconds", "5"], {
    onMessage: (text) => (/the second look comes/.test(text) ? meanwhile() : undefined),
  });
  const outcome = Object.fromEntries(json.findings.map(({ ip, outcome }: Json) => [ip, outcome]));
  t.notOk("10.10.0.70" in outcome, "a pod that is there again is no finding");
  t.match(outcome["10.10.0.71"], /^left: it has changed since the first look/);
  t.ok((await reservationNames(raw)).includes("rail0-10.10.0.70"));
  t.ok((await reservationNames(raw)).includes("rail0-10.10.0.71"));
  await deletePod(raw, "back");
});

t.test("railnet ipam audit beside a live Whereabouts: records count as much as reservations", async (t) => {
  await setMode(raw, "coexist");
  await makePod(raw, "plain", { node: "node-a" });
  const name = "rail1-10.11.0.0-16";
  await makePool(raw, name, "10.11.0.0/16", {
    3: { podref: "default/live", ifname: "net5" },
    4: { podref: "default/nobody" },
  });
  await makeReservation(raw, "rail1-10.11.0.3", { podref: "default/live", ifname: "net5" });
  await makeReservation(raw, "rail1-10.11.0.4", { podref: "default/nobody" });
  const inPool = (found: { json: Json }) => brief(found).filter((one) => one.includes("rail1/"));
  t.same(inPool(await audit()), ["orphan rail1/10.11.0.4 free"]);
  await audit("--fix", "--grace-seconds", "1");
  t.same(Object.keys(await recordsOf(raw, name)), ["3"]);
  t.same(
    (await reservationNames(raw)).filter((one) => one.startsWith("rail1-")),
    ["rail1-10.11.0.3"],
  );
});

t.test("railnet ipam audit says what it may not do", async (t) => {
  const token = api.kubeconfig({ token: "nonsense" });
  const { exit, stderr, stdout } = await ipam(["audit", "--kubeconfig", token]);
  t.equal(exit, 1);
  t.match(stderr, /^railnet: cannot (list|get) .*Unauthorized/);
  t.equal(stdout, "");
});

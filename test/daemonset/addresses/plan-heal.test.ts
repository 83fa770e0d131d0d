import t from "tap";
import { claimsToKeep, healing, missing } from "../../../daemonset/addresses/node/plan-heal.ts";
import type { ClaimRecord } from "../../../ipam/journal.ts";
import type { Owner } from "../../../ipam/store/store.ts";

const owner = { podref: "default/a", ifname: "net1", containerId: "a1" };
const rail0 = { name: "rail0-10.0.0.0-24", cidr: "10.0.0.0/24", network: "rail0", overlapping: true };
const record: ClaimRecord = {
  version: 1,
  phase: "held",
  network: "rail0",
  storage: { kind: "kubernetes", kubeconfig: "/k" },
  owner,
  netns: "/run/netns/a",
  netnsInode: 7,
  since: "2026-01-01T00:00:00Z",
  addresses: [
    { pool: rail0, ip: "10.0.0.5" },
    { pool: { ...rail0, network: "" }, ip: "fd00::" },
  ],
};

for (const { when, change = {}, want } of [
  { when: "ADD finished", want: ["10.0.0.5", "fd00::"] },
  { when: "ADD did not finish", change: { phase: "claiming" }, want: [] },
  { when: "DEL came", change: { phase: "releasing" }, want: [] },
  { when: "addresses are kept in a directory", change: { storage: { kind: "directory", path: "/d" } }, want: [] },
  {
    when: "the pool counts records alone",
    change: { addresses: [{ pool: { ...rail0, overlapping: false }, ip: "10.0.0.5" }] },
    want: [],
  },
] as { when: string; change?: Partial<ClaimRecord>; want: string[] }[])
  t.test(`claimsToKeep() when ${when}`, async (t) => {
    t.same(
      claimsToKeep({ ...record, ...change }).map(({ ip }) => ip),
      want,
    );
  });

t.test("missing() finds claims by the name that Whereabouts gives their reservation", async (t) => {
  const there = new Set(["fd00--0"]);
  t.same(
    missing(claimsToKeep(record), (name) => there.has(name)).map(({ ip }) => ip),
    ["10.0.0.5"],
  );
  there.add("rail0-10.0.0.5");
  t.same(
    missing(claimsToKeep(record), (name) => there.has(name)),
    [],
  );
});

for (const { when, uid, holder, want } of [
  { when: "nobody has it", holder: undefined, want: "make" },
  { when: "it has it", holder: owner, want: "leave" },
  { when: "a newer sandbox of the interface has it", holder: { ...owner, containerId: "a2" }, want: "leave" },
  {
    when: "Whereabouts reserved it without an interface",
    holder: { ...owner, ifname: "", containerId: "" },
    want: "leave",
  },
  { when: "another interface of the pod has it", holder: { ...owner, ifname: "net2" }, want: "duplicate" },
  { when: "another pod has it", holder: { ...owner, podref: "default/b" }, want: "duplicate" },
  {
    when: "a newer sandbox of its pod has it",
    uid: "u",
    holder: { ...owner, containerId: "a2", podUid: "u" },
    want: "leave",
  },
  {
    when: "another pod of its name has it",
    uid: "u",
    holder: { ...owner, containerId: "a2", podUid: "v" },
    want: "duplicate",
  },
] as { when: string; uid?: string; holder?: Owner; want: string }[])
  t.test(`healing() of a claim when ${when}: ${want}`, async (t) => {
    t.equal(healing({ pool: rail0, ip: "10.0.0.5", owner: { ...owner, ...(uid && { podUid: uid }) } }, holder), want);
  });

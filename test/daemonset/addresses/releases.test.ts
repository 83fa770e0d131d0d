import t from "tap";
import { Releases } from "../../../daemonset/addresses/service/releases.ts";
import { Claimer } from "../../../ipam/claim.ts";
import type { IpamHost } from "../../../ipam/host.ts";
import { ClaimJournal, type ClaimRecord } from "../../../ipam/journal.ts";
import { parseRange, rangeOf } from "../../../ipam/range.ts";
import { MemoryStore } from "../../../ipam/store/memory.ts";
import { type Claim, StoreError } from "../../../ipam/store/store.ts";
import { until } from "../../../lab/until.ts";

const SETTLE_MS = 50;
const pool = { name: "10.0.0.0-24", cidr: "10.0.0.0/24", network: "", overlapping: true };
const owner = { podref: "default/p", ifname: "net1", containerId: "c", podUid: "uid", node: "n" };
const record: ClaimRecord = {
  version: 1,
  phase: "releasing",
  network: "rail0",
  storage: { kind: "kubernetes", kubeconfig: "/k" },
  owner,
  netns: "/run/netns/c",
  netnsInode: 7,
  since: new Date().toISOString(),
  addresses: [{ pool, ip: "10.0.0.5" }],
};

function nodeOf(stateDir: string) {
  const store = new MemoryStore();
  const journal = new ClaimJournal(stateDir);
  const host = {
    stateDir,
    inode: () => 7,
    log: { info() {}, warn() {} },
    step() {},
    signal: new AbortController().signal,
    lock: async () => ({ [Symbol.dispose]() {} }),
    store: async () => store,
  } as unknown as IpamHost;
  return { store, journal, host, releases: new Releases(journal, host, SETTLE_MS) };
}

t.test("Releases gives back what arrives after it looked, when its request was never answered", async (t) => {
  const { store, journal, releases } = nodeOf(t.testdir({}));
  let looks = 0;
  const look = store.release.bind(store);
  store.release = async (claim) => {
    const outcome = await look(claim);
    if (++looks === 1) await store.claim({ pool, ip: "10.0.0.5", owner }); // the create arrives now
    return outcome;
  };
  journal.write({ ...record, unfinished: "unclear" });
  releases.scan();
  await until("it is looked for", () => looks === 1);
  t.equal(journal.find("c", "net1")?.phase, "releasing", "it is not forgotten yet");
  t.equal(releases.pending > 0, true);
  await until("it is forgotten", () => journal.find("c", "net1") === undefined);
  t.equal(await store.holder(pool, "10.0.0.5"), undefined);
  t.equal(looks, 2);
});

t.test("Releases forgets what is absent at once when all was answered, and after its time when not", async (t) => {
  for (const unclear of [false, true]) {
    const { journal, releases } = nodeOf(t.testdir({}));
    journal.write({ ...record, ...(unclear && { unfinished: "unclear" as const }) });
    const startMs = performance.now();
    releases.scan();
    await until("it is forgotten", () => journal.find("c", "net1") === undefined);
    if (unclear) t.ok(performance.now() - startMs >= SETTLE_MS);
    await until("nothing is pending", () => releases.pending === 0);
    t.equal(releases.pending, 0);
  }
});

for (const { when, error, want } of [
  { when: "was never answered", error: new StoreError("unclear", "no answer"), want: "unclear" },
  { when: "was given up", error: new Error("the caller is gone"), want: "unclear" },
  { when: "was refused", error: new StoreError("unavailable", "503"), want: undefined },
])
  t.test(`Claimer notes that a claim ${when}: ${want ?? "no"}`, async (t) => {
    const { store, journal, host } = nodeOf(t.testdir({}));
    store.claim = async (_: Claim) => Promise.reject(error);
    const claimer = new Claimer({ ...record, phase: "claiming", addresses: [] }, store, journal, host);
    const range = rangeOf(parseRange("10.0.0.0/24").network);
    const wish = { asked: [], fixed: [], kept: [], sameIndex: false };
    await t.rejects(claimer.claimAll([{ pool, range }], wish), error);
    t.equal(claimer.record.unfinished, want);
    t.equal(claimer.record.addresses.length, 1);
  });

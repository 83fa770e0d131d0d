import t from "tap";
import { sandboxesOf } from "../../../daemonset/addresses/node/sandboxes.ts";
import type { IpamHost } from "../../../ipam/host.ts";
import { ClaimJournal, type ClaimRecord } from "../../../ipam/journal.ts";

/** A node on which no sandbox runs, and what it was told to release. */
function nodeOf(stateDir: string) {
  const released: ClaimRecord[] = [];
  let held = Promise.resolve();
  const host = {
    stateDir,
    inode: () => 0,
    log: { info() {}, warn() {} },
    step() {},
    wasReleased: (id: string) => id === "c",
    releaseSoon: async (record: ClaimRecord) => void released.push(record),
    lock: async () => {
      await held;
      return { [Symbol.dispose]() {} };
    },
  } as unknown as IpamHost;
  const adding = Promise.withResolvers<void>();
  return {
    host: host as { -readonly [K in keyof IpamHost]: IpamHost[K] },
    released,
    journal: new ClaimJournal(stateDir),
    end: (record: ClaimRecord) => sandboxesOf(host).end(record),
    isReleased: (containerId: string) => sandboxesOf(host).isReleased({ containerId, ifname: "net1" }),
    beginAdd() {
      held = adding.promise;
    },
    endAdd: adding.resolve,
  };
}

const record: ClaimRecord = {
  version: 1,
  phase: "claiming",
  network: "rail0",
  storage: { kind: "directory", path: "/none" },
  owner: { podref: "default/p", ifname: "net1", containerId: "c", node: "n" },
  netns: "/run/netns/none",
  netnsInode: 7,
  since: "2026-01-01T00:00:00Z",
  addresses: [],
};

t.test("Sandboxes.end() gives back what an ADD left that died", async (t) => {
  const { journal, released, end } = nodeOf(t.testdir({}));
  journal.write(record);
  await end(record);
  t.match(released, [{ phase: "releasing", owner: record.owner }]);
});

for (const [how, now] of [["with success", "held"], ["without", undefined]] as const) // biome-ignore format: rows
  t.test(`Sandboxes.end() waits for an ADD that still runs, and takes nothing when it ends ${how}`, async (t) => {
    const { journal, released, end, beginAdd, endAdd } = nodeOf(t.testdir({}));
    journal.write(record);
    beginAdd();
    const ending = end(record);
    if (now) journal.write({ ...record, phase: now });
    else journal.forget(record);
    endAdd();
    await ending;
    t.same(released, []);
    t.equal(journal.find("c", "net1")?.phase, now);
  });

t.test(
  "Sandboxes.isReleased() is so after a DEL, not once an ADD of the same sandbox has begun, nor for others",
  async (t) => {
    const { journal, isReleased } = nodeOf(t.testdir({}));
    t.equal(isReleased("c"), true);
    t.equal(isReleased("another"), false);
    journal.write(record);
    t.equal(isReleased("c"), false);
  },
);

t.test("Sandboxes.end() leaves a sandbox that runs after all, and what is being released already", async (t) => {
  for (const [what, now, inode] of [
    ["runs", record, 7],
    ["is being released", { ...record, phase: "releasing" }, 0],
  ] as const) {
    const { journal, released, end, host } = nodeOf(t.testdir({}));
    host.inode = () => inode;
    journal.write(now);
    await end(now);
    t.same(released, [], `it ${what}`);
  }
});

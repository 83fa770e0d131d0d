import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { Allocator } from "../../ipam/allocator.ts";
import { Contention } from "../../ipam/contention.ts";
import type { PoolRange } from "../../ipam/pool-range.ts";
import { parseRange, rangeOf } from "../../ipam/range.ts";
import { MemoryStore } from "../../ipam/store/memory.ts";
import type { Claim, Store, Taken } from "../../ipam/store/store.ts";

const cidr = "10.0.0.0/8";
const source: PoolRange = {
  range: rangeOf(parseRange(cidr).network),
  pool: { name: "10.0.0.0-8", cidr, network: "", overlapping: true },
};

/** Counts over all nodes. */
interface Seen {
  lost: number;
  inFlight: number;
  mostInFlight: number;
}
const nothing = (): Seen => ({ lost: 0, inFlight: 0, mostInFlight: 0 });

/** What one node sees of a cluster: what others took it learns from a claim that is lost. */
function nodeOf(cluster: MemoryStore, seen: Seen, order: Taken["order"] = "lowest", ms = (_nth: number) => 5): Store {
  const known = new MemoryStore();
  let nth = 0;
  const store: Pick<Store, "taken" | "claim"> = {
    taken: async (pool) => ({ ...(await known.taken(pool)), order }),
    async claim(claim: Claim) {
      seen.mostInFlight = Math.max(seen.mostInFlight, ++seen.inFlight);
      await sleep(ms(nth++));
      seen.inFlight--;
      const holder = await cluster.claim(claim);
      if (holder) seen.lost++;
      await known.claim({ ...claim, owner: holder ?? claim.owner });
      return holder && { ...holder, isElsewhere: false };
    },
  };
  return store as Store;
}

function allocate(store: Store, node: string, count: number): Promise<string>[] {
  const allocator = new Allocator(store);
  return Array.from({ length: count }, (_, i) => {
    const id = `${node}-${i}`;
    return allocator.allocate(source, { podref: `default/${id}`, ifname: "net1", containerId: id, node });
  });
}

t.test("Allocator.allocate() of ten nodes at once loses one race a node, not one a call", async (t) => {
  const [cluster, seen] = [new MemoryStore(), nothing()];
  const all = Array.from({ length: 10 }, (_, n) => allocate(nodeOf(cluster, seen), `node-${n}`, 10));
  const ips = await Promise.all(all.flat());
  t.equal(new Set(ips).size, 100);
  t.equal(seen.lost, 9);
});

t.test("Allocator.allocate() does not queue behind a call that gets no answer", async (t) => {
  const done: number[] = [];
  const store = nodeOf(new MemoryStore(), nothing(), "lowest", (nth) => (nth === 0 ? 3_000 : 5));
  await Promise.all(allocate(store, "node", 4).map((call, i) => call.then(() => done.push(i))));
  t.same(done, [1, 2, 3, 0]);
});

t.test("Allocator.allocate() beside a live Whereabouts sends all claims at once", async (t) => {
  const seen = nothing();
  await Promise.all(allocate(nodeOf(new MemoryStore(), seen, "highest"), "node", 10));
  t.equal(seen.mostInFlight, 10);
});

t.test("Contention moves on once for all calls that lost at one place", async (t) => {
  const contention = new Contention();
  const places: number[] = [];
  const place = (jump: number) => {
    places.push(jump);
    return BigInt(100 * (jump + 1));
  };
  for (let call = 0; call < 3; call++) contention.lost(undefined, place);
  t.same([contention.start, places], [100n, [0]], "three calls lost at the common start");
  contention.lost(undefined, place);
  contention.lost(100n, place);
  t.same([contention.start, places], [200n, [0, 1]]);
});

t.test("Contention lets one call go ahead, and for a while no other", async (t) => {
  const contention = new Contention();
  const claim = Promise.withResolvers<void>();
  contention.sent(undefined, claim.promise);
  t.ok(contention.ahead, "the others wait for it");
  claim.resolve();
  await contention.ahead;
  contention.sent(undefined, new Promise(() => {}));
  t.equal(contention.ahead, undefined, "where it was a moment ago nobody waits again");
});

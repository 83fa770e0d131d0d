// One suite that every store passes. State is also read by `look`, which each test file writes without the store's code.
import t, { type Test } from "tap";
import { toNumber } from "../../../ipam/address.ts";
import { type Claim, type Owner, type Pool, type Store, StoreError } from "../../../ipam/store/store.ts";
import { newNetwork, ownerOf, poolOf } from "./names.ts";

/** Where allocations live, as a test file sets it up. */
export interface Place {
  /** One more store over it, as another process would have. */
  open(): Promise<Store> | Store;
  /** Container ID of the holder of each address that somebody holds through a pool, read without any of our code. */
  look(pool: Pool): Promise<Map<string, string>> | Map<string, string>;
}

/** How many callers run for one address. */
const CALLERS = 24;

const who = (owner: Owner | undefined) => owner && `${owner.podref} ${owner.ifname} ${owner.containerId}`;

/** @param overlapping the kind of pools that these rows run on. */
export function testStore(name: string, place: Place, { overlapping = true } = {}): void {
  const kind = overlapping ? "" : ", enable_overlapping_ranges false";
  const newPool = (cidr = "10.20.0.0/24") => poolOf(newNetwork(), cidr, { overlapping });
  const test = (what: string, body: (t: Test) => Promise<void>) => t.test(`${name}${kind}: ${what}`, body);

  test("claim() gives a free address to its caller, and the place says so", async (t) => {
    const [pool, store] = [newPool(), await place.open()];
    t.equal(await store.claim({ pool, ip: "10.20.0.5", owner: ownerOf("p") }), undefined);
    t.same([...(await place.look(pool))], [["10.20.0.5", ownerOf("p").containerId]]);
    t.equal(who(await store.holder(pool, "10.20.0.5")), who(ownerOf("p")));
    t.equal(await store.holder(pool, "10.20.0.6"), undefined);
  });

  test("claim() lets one of many callers win, and names the winner to all others", async (t) => {
    const pool = newPool();
    const stores = await Promise.all([place.open(), place.open(), place.open()]);
    const answers = await Promise.all(
      Array.from({ length: CALLERS }, (_, i) =>
        stores[i % 3]!.claim({ pool, ip: "10.20.0.7", owner: ownerOf(`p${i}`) }),
      ),
    );
    const winners = answers.flatMap((answer, i) => (answer === undefined ? [ownerOf(`p${i}`)] : []));
    t.equal(winners.length, 1, "one winner");
    t.same([...(await place.look(pool)).values()], [winners[0]?.containerId]);
    for (const answer of answers) if (answer) t.equal(who(answer), who(winners[0]));
  });

  test("claim() gives each of many addresses away once, whoever runs for them", async (t) => {
    const pool = newPool();
    const stores = await Promise.all([place.open(), place.open(), place.open()]);
    const ips = Array.from({ length: 12 }, (_, i) => `10.20.0.${i + 1}`);
    const won: string[] = [];
    await Promise.all(
      stores.flatMap((store, s) =>
        ips.map(async (ip, i) => {
          const owner = ownerOf(`s${s}-${i}`);
          if ((await store.claim({ pool, ip, owner })) === undefined) won.push(`${ip} ${owner.containerId}`);
        }),
      ),
    );
    const there = [...(await place.look(pool))].map(([ip, id]) => `${ip} ${id}`);
    t.same(won.sort(), there.sort(), "who was told so has it");
    t.equal(won.length, ips.length);
  });

  test("claim() again by the same sandbox changes nothing, from any store", async (t) => {
    const [pool, first, second] = [newPool(), await place.open(), await place.open()];
    const claim = { pool, ip: "10.20.0.9", owner: ownerOf("p") };
    for (const store of [first, first, second]) t.equal(await store.claim(claim), undefined);
    t.same([...(await place.look(pool))], [["10.20.0.9", claim.owner.containerId]]);
  });

  test("claim() hands an address over to a new sandbox of the same interface", async (t) => {
    const [pool, first, second] = [newPool(), await place.open(), await place.open()];
    const ip = "10.20.0.10";
    await first.claim({ pool, ip, owner: ownerOf("p", "old") });
    t.equal(await second.claim({ pool, ip, owner: ownerOf("p", "new", { node: "node-2" }) }), undefined);
    t.same([...(await place.look(pool))], [[ip, ownerOf("p", "new").containerId]]);
    const now = await first.holder(pool, ip);
    t.equal(who(now), who(ownerOf("p", "new")));
  });

  test("claim() hands an address over within one pod, and never to another one of its name", async (t) => {
    const [pool, first, second] = [newPool(), await place.open(), await place.open()];
    const ip = "10.20.0.40";
    const old = ownerOf("p", "old", { podUid: "uid-1" });
    await first.claim({ pool, ip, owner: old });
    const elsewhere = { podUid: "uid-2", node: "node-2" };
    for (const claim of [
      { owner: ownerOf("p", "new", elsewhere) },
      { owner: ownerOf("p", "new", elsewhere), isOver: () => false },
      ...(overlapping ? [{ owner: ownerOf("p", "new") }] : []), // where nobody says a UID, the name counts
    ])
      t.equal(who(await second.claim({ pool, ip, ...claim })), who(old), "its node may be cut off, and it may live");
    t.same([...(await place.look(pool))], [[ip, old.containerId]]);
    t.equal(await second.release({ pool, ip, owner: ownerOf("p", "new", elsewhere) }), "foreign");
    if (!overlapping) return; // a pool's record says no UID
    const next = ownerOf("p", "next", { podUid: "uid-1" });
    t.equal(await second.claim({ pool, ip, owner: next }), undefined, "a new sandbox of the same pod");
    t.same([...(await place.look(pool))], [[ip, next.containerId]]);
  });

  test("claim() with a pod's UID leaves an address to a holder that names none, as Whereabouts' records do", async (t) => {
    const [pool, first, second] = [newPool(), await place.open(), await place.open()];
    const ip = "10.20.0.42";
    await first.claim({ pool, ip, owner: ownerOf("p", "old") });
    const claim = { pool, ip, owner: ownerOf("p", "new", { podUid: "uid-1" }) };
    t.equal(who(await second.claim(claim)), who(ownerOf("p", "old")), "nothing says that it is the same pod");
    t.equal(await second.claim({ ...claim, isOver: () => true }), undefined, "its sandbox is known to be over");
  });

  test("claim() takes an address over from a pod of its name whose sandbox is known to be over", async (t) => {
    const [pool, first, second] = [newPool(), await place.open(), await place.open()];
    const ip = "10.20.0.41";
    const [old, fresh] = [ownerOf("p", "old", { podUid: "uid-1" }), ownerOf("p", "new", { podUid: "uid-2" })];
    await first.claim({ pool, ip, owner: old });
    const asked: string[] = [];
    const isOver = (holder: Owner) => asked.push(holder.containerId) > 0;
    t.equal(await second.claim({ pool, ip, owner: fresh, isOver }), undefined);
    t.same(new Set(asked), new Set([old.containerId]));
    t.same([...(await place.look(pool))], [[ip, fresh.containerId]]);
    t.equal(await first.release({ pool, ip, owner: old }), "foreign");
    const isNever = () => t.fail("another pod is never asked about") !== undefined;
    t.equal(who(await first.claim({ pool, ip, owner: ownerOf("q"), isOver: isNever })), who(fresh));
  });

  test("claim() does not hand over to another interface or pod of the same sandbox", async (t) => {
    const [pool, store] = [newPool(), await place.open()];
    const ip = "10.20.0.11";
    await store.claim({ pool, ip, owner: ownerOf("p") });
    const { podref, containerId } = ownerOf("p");
    for (const owner of [ownerOf("p", "a", { ifname: "net2" }), ownerOf("q", "a", { containerId })])
      t.equal((await store.claim({ pool, ip, owner }))?.podref, podref);
    t.same([...(await place.look(pool))], [[ip, containerId]]);
  });

  test("release() by the holder frees the address; again it is absent", async (t) => {
    const [pool, store] = [newPool(), await place.open()];
    const claim = { pool, ip: "10.20.0.12", owner: ownerOf("p") };
    t.equal(await store.release(claim), "absent", "before");
    await store.claim(claim);
    t.equal(await store.release(claim), "released");
    t.equal(await store.release(claim), "absent");
    t.equal((await place.look(pool)).size, 0);
    t.equal(await store.claim({ ...claim, owner: ownerOf("q") }), undefined, "somebody else can have it");
  });

  test("release() of somebody else's address is foreign, and touches nothing", async (t) => {
    const [pool, store] = [newPool(), await place.open()];
    const ip = "10.20.0.13";
    await store.claim({ pool, ip, owner: ownerOf("p") });
    const { containerId } = ownerOf("p");
    const others = [ownerOf("q"), ownerOf("p", "a", { ifname: "net2" }), ownerOf("q", "a", { containerId })];
    for (const owner of others) t.equal(await store.release({ pool, ip, owner }), "foreign");
    t.same([...(await place.look(pool))], [[ip, containerId]]);
  });

  test("release() by an old sandbox is foreign once a new one has the address", async (t) => {
    const [pool, old, fresh] = [newPool(), await place.open(), await place.open()];
    const ip = "10.20.0.14";
    await old.claim({ pool, ip, owner: ownerOf("p", "old") });
    await fresh.claim({ pool, ip, owner: ownerOf("p", "new") });
    t.equal(await old.release({ pool, ip, owner: ownerOf("p", "old") }), "foreign");
    t.same([...(await place.look(pool))], [[ip, ownerOf("p", "new").containerId]]);
    t.equal(await old.release({ pool, ip, owner: ownerOf("p", "new") }), "released");
  });

  test("release() and hand-over of one address beside each other leave one of the two owners, or none", async (t) => {
    const [pool, a, b] = [newPool(), await place.open(), await place.open()];
    for (let round = 0; round < 8; round++) {
      const ip = `10.20.0.${round + 20}`;
      await a.claim({ pool, ip, owner: ownerOf("p", "old") });
      const [outcome, holder] = await Promise.all([
        a.release({ pool, ip, owner: ownerOf("p", "old") }),
        b.claim({ pool, ip, owner: ownerOf("p", "new") }),
      ]);
      t.equal(holder, undefined, "the new sandbox has it in either order");
      t.ok(["released", "foreign"].includes(outcome), outcome);
      t.equal((await place.look(pool)).get(ip), ownerOf("p", "new").containerId);
    }
  });

  test("release() by many callers frees once", async (t) => {
    const [pool, stores] = [newPool(), await Promise.all([place.open(), place.open()])];
    const claim = { pool, ip: "10.20.0.15", owner: ownerOf("p") };
    await stores[0]!.claim(claim);
    const outcomes = await Promise.all(Array.from({ length: 8 }, (_, i) => stores[i % 2]!.release(claim)));
    t.ok(outcomes.includes("released"));
    t.notOk(outcomes.includes("foreign"));
    t.equal((await place.look(pool)).size, 0);
  });

  test("find() gives what a sandbox holds in this pool, and nothing else", async (t) => {
    const [pool, store, other] = [newPool(), await place.open(), await place.open()];
    const sibling = poolOf(newNetwork(), pool.cidr, { overlapping });
    const mine: Claim[] = ["10.20.0.16", "10.20.0.17"].map((ip) => ({ pool, ip, owner: ownerOf("p") }));
    for (const claim of mine) await store.claim(claim);
    await store.claim({ pool, ip: "10.20.0.18", owner: ownerOf("p", "a", { ifname: "net2" }) });
    await store.claim({ pool, ip: "10.20.0.19", owner: ownerOf("q") });
    await store.claim({ pool: sibling, ip: "10.20.0.16", owner: ownerOf("p") });
    for (const one of [store, other]) {
      const found = await one.find(pool, { containerId: ownerOf("p").containerId, ifname: "net1" });
      t.same(found.map(({ ip, owner }) => `${ip} ${who(owner)}`).sort(), mine.map((c) => `${c.ip} ${who(c.owner)}`)); // biome-ignore format: one row
    }
    t.same(await store.find(pool, { containerId: "nobody", ifname: "net1" }), []);
    for (const claim of await other.find(pool, mine[0]!.owner)) t.equal(await other.release(claim), "released");
    t.equal((await place.look(pool)).size, 2);
  });

  test("taken() knows what this store claimed, and freshly what others did", async (t) => {
    const [pool, store, other] = [newPool(), await place.open(), await place.open()];
    await store.taken(pool);
    await store.claim({ pool, ip: "10.20.0.3", owner: ownerOf("p") });
    t.ok((await store.taken(pool)).has(toNumber("10.20.0.3")), "its own");
    await other.claim({ pool, ip: "10.20.0.4", owner: ownerOf("q") });
    const fresh = await store.taken(pool, { fresh: true });
    t.same(
      ["10.20.0.2", "10.20.0.3", "10.20.0.4", "10.20.0.5"].map((ip) => fresh.has(toNumber(ip))),
      [false, true, true, false],
    );
    await other.release({ pool, ip: "10.20.0.4", owner: ownerOf("q") });
    t.notOk((await store.taken(pool, { fresh: true })).has(toNumber("10.20.0.4")), "free again");
    await store.release({ pool, ip: "10.20.0.3", owner: ownerOf("p") });
    t.notOk((await store.taken(pool)).has(toNumber("10.20.0.3")), "its own is free again at once");
  });

  test("taken().of() gives the address of an interface, by whichever sandbox", async (t) => {
    const [pool, store, other] = [newPool(), await place.open(), await place.open()];
    await store.claim({ pool, ip: "10.20.0.6", owner: ownerOf("p", "old") });
    await store.claim({ pool, ip: "10.20.0.8", owner: ownerOf("p", "old", { ifname: "net2" }) });
    for (const one of [store, other]) {
      const taken = await one.taken(pool, { fresh: true });
      t.same(taken.of("team/p", "net1"), ["10.20.0.6"]);
      t.same(taken.of("team/p", "net2"), ["10.20.0.8"]);
      t.same(taken.of("team/p", "net3"), []);
      t.same(taken.of("team/q", "net1"), []);
    }
    await store.release({ pool, ip: "10.20.0.6", owner: ownerOf("p", "old") });
    t.same((await store.taken(pool)).of("team/p", "net1"), []);
  });

  test("two networks with equal addresses do not know of each other", async (t) => {
    const [a, b, store] = [newPool(), newPool(), await place.open()];
    const ip = "10.20.0.5";
    t.equal(await store.claim({ pool: a, ip, owner: ownerOf("p") }), undefined);
    t.equal(await store.claim({ pool: b, ip, owner: ownerOf("q") }), undefined);
    t.equal(await store.release({ pool: b, ip, owner: ownerOf("p") }), "foreign");
    t.equal(await store.release({ pool: b, ip, owner: ownerOf("q") }), "released");
    t.equal(who(await store.holder(a, ip)), who(ownerOf("p")));
    t.notOk((await store.taken(b, { fresh: true })).has(toNumber(ip)));
  });

  test(`two pools that share addresses ${overlapping ? "give each away once" : "are independent"}`, async (t) => {
    const network = newNetwork();
    const wide = poolOf(network, "10.20.0.0/24", { overlapping });
    const narrow = poolOf(network, "10.20.0.0/28", { overlapping });
    const [a, b] = [await place.open(), await place.open()];
    const ip = "10.20.0.5";
    t.equal(await a.claim({ pool: wide, ip, owner: ownerOf("p") }), undefined);
    const holder = await b.claim({ pool: narrow, ip, owner: ownerOf("q") });
    t.equal(who(holder), overlapping ? who(ownerOf("p")) : undefined);
    t.equal((await b.taken(narrow, { fresh: true })).has(toNumber(ip)), true);
    t.equal(await b.release({ pool: narrow, ip, owner: ownerOf("q") }), overlapping ? "foreign" : "released");
    t.equal(who(await a.holder(wide, ip)), who(ownerOf("p")));
  });

  if (overlapping)
    test("one interface does not get one address through two pools", async (t) => {
      const network = newNetwork();
      const [wide, narrow] = [poolOf(network, "10.20.0.0/24"), poolOf(network, "10.20.0.0/28")];
      const [store, ip, owner] = [await place.open(), "10.20.0.5", ownerOf("p")];
      await store.claim({ pool: wide, ip, owner });
      t.equal(who(await store.claim({ pool: narrow, ip, owner })), who(owner));
      t.same((await store.taken(narrow, { fresh: true })).of(owner.podref, owner.ifname), []);
      t.equal(await store.release({ pool: narrow, ip, owner }), "foreign", "it is the other pool's");
      t.equal(await store.release({ pool: wide, ip, owner }), "released");
    });

  for (const { when, cidr, ip, free } of [
    { when: "IPv6", cidr: "fd00:10::/64", ip: "fd00:10::5", free: "fd00:10::6" },
    { when: "IPv6 at a zero end", cidr: "fd00:11::/96", ip: "fd00:11::a:0", free: "fd00:11::a:1" },
    { when: "IPv6 far from its base", cidr: "fd00:12::/64", ip: "fd00:12::7fff:0:0:1", free: "fd00:12::7fff:0:0:2" },
    { when: "an address that ends in 255 of a wide range", cidr: "10.21.0.0/16", ip: "10.21.3.255", free: "10.21.3.0" },
  ])
    test(`claim, find and release of ${when}`, async (t) => {
      const [store, other, pool, owner] = [await place.open(), await place.open(), newPool(cidr), ownerOf("p")];
      t.equal(await store.claim({ pool, ip, owner }), undefined);
      t.same([...(await place.look(pool))], [[ip, owner.containerId]]);
      const taken = await other.taken(pool, { fresh: true });
      t.same([taken.has(toNumber(ip)), taken.has(toNumber(free))], [true, false]);
      t.same(taken.of(owner.podref, owner.ifname), [ip]);
      t.same((await other.find(pool, owner)).map((claim) => claim.ip), [ip]); // biome-ignore format: one row
      t.equal(await other.release({ pool, ip, owner }), "released");
      t.equal((await place.look(pool)).size, 0);
    });

  test("claim() keeps long and odd names of pod, interface, sandbox and node", async (t) => {
    const [pool, store] = [newPool(), await place.open()];
    const owner: Owner = {
      podref: `${"n".repeat(63)}/${"pod.with.dots-".repeat(18)}x`,
      ifname: "net_1.200@eth",
      containerId: "0123456789abcdef".repeat(4),
      podUid: "2b2d5f2e-6d0b-4a4e-9a52-1b9c6a4c8a11",
      node: `${"node.".repeat(40)}example`,
    };
    t.equal(await store.claim({ pool, ip: "10.20.0.5", owner }), undefined);
    t.equal(who(await store.holder(pool, "10.20.0.5")), who(owner));
    t.equal(await store.claim({ pool, ip: "10.20.0.5", owner }), undefined, "again");
    t.equal(await store.release({ pool, ip: "10.20.0.5", owner }), "released");
  });

  test("check() succeeds, also with a call that is not over", async (t) => {
    const store = await place.open();
    await store.check(new AbortController().signal);
    t.pass();
  });

  test("claim() of an aborted call claims nothing, or says that it did", async (t) => {
    const [pool, store] = [newPool(), await place.open()];
    const claim = { pool, ip: "10.20.0.5", owner: ownerOf("p") };
    const outcome = await store
      .claim(claim, AbortSignal.abort(new Error("the caller is gone")))
      .catch((e: unknown) => e);
    t.ok(outcome === undefined || outcome instanceof StoreError, String(outcome));
    await store.release(claim);
    t.equal((await place.look(pool)).size, 0, "a release leaves nothing in either case");
  });
}

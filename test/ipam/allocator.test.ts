import t from "tap";
import { Allocator } from "../../ipam/allocator.ts";
import type { PoolRange } from "../../ipam/pool-range.ts";
import { parseRange, rangeOf } from "../../ipam/range.ts";
import type { Claim, Holder, Store, Taken } from "../../ipam/store/store.ts";

const sourceOf = (cidr: string): PoolRange => ({
  range: rangeOf(parseRange(cidr).network),
  pool: { name: "p", cidr, network: "", overlapping: true },
});
const OWNER = { podref: "default/a", ifname: "net1", containerId: "a" };
const OTHER: Holder = { podref: "default/b", ifname: "net1", containerId: "b" };

interface World {
  /** Whether an address is taken at the nth look. */
  isTaken(address: bigint, look: number): boolean;
  claim(claim: Claim): Holder | undefined;
}

/** A store that remembers what it lost until the next fresh look, as that of a cluster does. */
function storeOf({ isTaken, claim }: World) {
  const seen = { looks: 0, claims: 0 };
  let lost = new Set<bigint>();
  const store: Pick<Store, "taken" | "claim"> = {
    async taken(_pool, { fresh = false } = {}): Promise<Taken> {
      if (fresh) lost = new Set();
      const look = seen.looks++;
      return { has: (address) => lost.has(address) || isTaken(address, look), of: () => [], order: "lowest" };
    },
    async claim(one) {
      seen.claims++;
      const holder = claim(one);
      if (holder) lost.add(BigInt(one.ip.split(".").at(-1)!) + 0x0a000000n);
      return holder;
    },
  };
  const allocate = (cidr: string, given: readonly string[] = []) =>
    new Allocator(store as Store).allocate(sourceOf(cidr), OWNER, { given });
  return { seen, allocate };
}

t.test("Allocator.allocate() says that a range is exhausted when a fresh look shows it", async (t) => {
  const { seen, allocate } = storeOf({ isTaken: () => true, claim: () => undefined });
  await t.rejects(allocate("10.0.0.0/29"), {
    code: 999,
    message:
      "cannot give an address of 10.0.0.0/29: all from 10.0.0.1 to 10.0.0.6 are taken or excluded; make the range larger, or release some",
  });
  t.same(seen, { looks: 2, claims: 0 });
});

t.test("Allocator.allocate() looks once at a range that stays full, whoever asks within seconds", async (t) => {
  const { seen, allocate } = storeOf({ isTaken: () => true, claim: () => undefined });
  for (let i = 0; i < 20; i++) await t.rejects(allocate("10.0.0.0/29"), { code: 999 });
  t.same(seen, { looks: 21, claims: 0 }, "one of them fresh");
  await t.rejects(allocate("10.0.0.0/28"), { code: 999 });
  t.equal(seen.looks, 23, "another range is looked at");
});

t.test("Allocator.allocate() gives what was given back since a range was full", async (t) => {
  let isFull = true;
  const { allocate } = storeOf({ isTaken: (address) => isFull || address !== 0x0a000003n, claim: () => undefined });
  await t.rejects(allocate("10.0.0.0/29"), { code: 999 });
  isFull = false;
  t.equal(await allocate("10.0.0.0/29"), "10.0.0.3");
});

t.test("Allocator.allocate() remembers no range as full that only its own addresses fill", async (t) => {
  const { seen, allocate } = storeOf({ isTaken: (address) => address !== 0x0a000001n, claim: () => undefined });
  await t.rejects(allocate("10.0.0.0/29", ["10.0.0.1"]), { code: 999 });
  t.equal(await allocate("10.0.0.0/29"), "10.0.0.1");
  t.equal(seen.claims, 1);
});

t.test("Allocator.allocate() finds what only a fresh look shows", async (t) => {
  const { allocate } = storeOf({ isTaken: (_, look) => look === 0, claim: () => undefined });
  t.equal(await allocate("10.0.0.0/29"), "10.0.0.1");
});

t.test(
  "Allocator.allocate() says try again where others are faster each time and each look shows free ones",
  async (t) => {
    const { seen, allocate } = storeOf({ isTaken: () => false, claim: () => OTHER });
    await t.rejects(allocate("10.0.0.0/29"), {
      code: 11,
      message:
        "cannot give an address of 10.0.0.0/29: pool p is not full, but others were faster every time; try again",
    });
    t.equal(seen.claims, 30, "each of six addresses at each of five looks");
  },
);

t.test(
  "Allocator.allocate() says try again where the last free ones are just being claimed by this process",
  async (t) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const store: Pick<Store, "taken" | "claim"> = {
      taken: async () => ({ has: () => false, of: () => [], order: "highest" }),
      claim: async () => void (await promise),
    };
    const allocator = new Allocator(store as Store);
    const first = [1, 2].map(() => allocator.allocate(sourceOf("10.0.0.0/30"), OWNER));
    await t.rejects(allocator.allocate(sourceOf("10.0.0.0/30"), OWNER), { code: 11 });
    resolve();
    t.same((await Promise.all(first)).sort(), ["10.0.0.1", "10.0.0.2"]);
  },
);

for (const [what, holder] of [
  ["elsewhere", { ...OTHER, isElsewhere: true }],
  ["here", OTHER],
] as const)
  t.test(`Allocator.allocate() ends with a store that calls every address free and held ${what}`, async (t) => {
    const store: Pick<Store, "taken" | "claim"> = {
      taken: async () => ({ has: () => false, of: () => [], order: "lowest" }),
      claim: async () => holder,
    };
    await t.rejects(new Allocator(store as Store).allocate(sourceOf("10.0.0.0/8"), OWNER), { code: 11 });
  });

t.test(
  "Allocator.allocate() passes over what the interface has through other ranges, and what it may not keep",
  async (t) => {
    const store: Pick<Store, "taken" | "claim"> = {
      taken: async () => ({ has: () => false, of: () => ["10.0.0.1", "10.0.0.2", "10.0.0.5"], order: "lowest" }),
      claim: async () => undefined,
    };
    const given = ["10.0.0.1"];
    const mayKeep = (address: bigint) => address >= 0x0a000004n;
    const allocator = new Allocator(store as Store);
    t.equal(await allocator.allocate(sourceOf("10.0.0.0/29"), OWNER, { given, mayKeep }), "10.0.0.5");
    t.equal(await allocator.allocate(sourceOf("10.0.0.0/29"), OWNER, { given, mayKeep: () => false }), "10.0.0.2");
  },
);

t.test(
  "Allocator.allocate() gives what was held before, then what is preferred, unless it is somebody's",
  async (t) => {
    const asked = async (preference: object, holders: Readonly<Record<string, Holder>> = {}) => {
      const store: Pick<Store, "taken" | "claim"> = {
        taken: async () => ({ has: () => false, of: () => ["10.0.0.5"], order: "lowest" }),
        claim: async ({ ip }) => holders[ip],
      };
      return await new Allocator(store as Store).allocate(sourceOf("10.0.0.0/28"), OWNER, preference);
    };
    const preferred = () => ["10.0.0.9"];
    t.equal(await asked({}), "10.0.0.5", "the interface has it");
    t.equal(await asked({ kept: ["10.0.0.7"], preferred }), "10.0.0.7");
    t.equal(await asked({ kept: ["10.0.0.7"], mayKeep: () => false, preferred }), "10.0.0.9");
    t.equal(await asked({ preferred }, { "10.0.0.5": OTHER }), "10.0.0.9");
    t.equal(
      await asked({ preferred, given: ["10.0.0.5", "10.0.0.9"] }),
      "10.0.0.1",
      "another range of the call has them",
    );
  },
);

t.test("Allocator.allocate(): what another range of a call has makes a pool full for this call alone", async (t) => {
  const { seen, allocate } = storeOf({ isTaken: (_, look) => look === 2, claim: () => undefined });
  await t.rejects(allocate("10.0.0.0/30", ["10.0.0.1", "10.0.0.2"]), { name: "CniError", code: 999 });
  t.equal(seen.looks, 2);
  t.equal(await allocate("10.0.0.0/30"), "10.0.0.1", "by a fresh look of its own, since what was remembered showed a full pool");
  t.equal(seen.looks, 4);
}); // biome-ignore format: rows

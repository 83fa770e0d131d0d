import t from "tap";
import { MemoryStore } from "../../../ipam/store/memory.ts";
import { type SlicedRange, StoreError } from "../../../ipam/store/store.ts";
import { testStore } from "./contract.ts";
import { ownerOf, poolOf } from "./names.ts";

const CANDIDATES = [
  ...Array.from({ length: 254 }, (_, i) => `10.20.0.${i + 1}`),
  "fd00:10::5",
  "fd00:11::a:0",
  "fd00:12::7fff:0:0:1",
  "10.21.3.255",
];

/** Nobody else can read another object's memory: what it holds is found by asking for every address of a /24. */
const store = new MemoryStore();
for (const overlapping of [true, false])
  testStore(
    "MemoryStore",
    {
      open: () => store,
      look: async (pool) => {
        const held = new Map<string, string>();
        for (const ip of CANDIDATES) {
          const holder = await store.holder(pool, ip);
          if (holder) held.set(ip, holder.containerId);
        }
        return held;
      },
    },
    { overlapping },
  );

t.test("MemoryStore.slice() says which store has slices", async (t) => {
  const error = await store.slice({ name: "rail0" } as SlicedRange).catch((e: unknown) => e);
  t.ok(error instanceof StoreError && error.kind === "refused");
  t.match(String(error), /node_slice_size needs the Kubernetes store/);
});

t.test("MemoryStore.taken() does not change under its reader", async (t) => {
  const own = new MemoryStore();
  const pool = poolOf("n", "10.20.0.0/24");
  const before = await own.taken(pool);
  await own.claim({ pool, ip: "10.20.0.1", owner: ownerOf("p") });
  t.notOk(before.has(0x0a140001n));
  t.ok((await own.taken(pool)).has(0x0a140001n));
});

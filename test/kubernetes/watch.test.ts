import t from "tap";
import { type KubeObject, RESERVATIONS } from "../../kubernetes/cluster.ts";
import { readEvents } from "../../kubernetes/watch.ts";

const action = { verb: "watch", resource: RESERVATIONS } as const;
const line = (type: string, object: object) => `${JSON.stringify({ type, object })}\n`;
const events = [
  { type: "ADDED", object: { metadata: { name: "a", labels: { text: "Ä€𝄞" } } } },
  { type: "BOOKMARK", object: { metadata: { resourceVersion: "5" } } },
  { type: "DELETED", object: { metadata: { name: "a" } } },
];
const bytes = Buffer.from(events.map(({ type, object }) => line(type, object)).join(""));

async function* cut(all: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < all.length; at += size) yield all.subarray(at, at + size);
}

for (const size of [1, 2, 3, 7, 64, 10_000])
  t.test(`readEvents() puts events together from pieces of ${size} bytes`, async (t) => {
    t.same(await Array.fromAsync(readEvents<KubeObject>(action, cut(bytes, size))), events);
  });

t.test("readEvents() drops what a lost connection left half", async (t) => {
  const half = bytes.subarray(0, bytes.length - 5);
  t.same(await Array.fromAsync(readEvents<KubeObject>(action, cut(half, 16))), events.slice(0, 2));
});

t.test("readEvents() throws an event ERROR with its status", async (t) => {
  const status = { kind: "Status", code: 410, reason: "Expired", message: "too old resource version" };
  const body = cut(Buffer.from(line("ERROR", status)), 1000);
  await t.rejects(Array.fromAsync(readEvents<KubeObject>(action, body)), {
    name: "ApiError",
    status: 410,
    reason: "Expired",
    isUnclear: false,
  });
});

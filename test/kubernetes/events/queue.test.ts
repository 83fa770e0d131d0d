import t from "tap";
import { PODS } from "../../../kubernetes/cluster.ts";
import type { EventRequest } from "../../../kubernetes/events/kube-event.ts";
import { EventQueue } from "../../../kubernetes/events/queue.ts";

const event = (name: string, more: Partial<EventRequest> = {}): EventRequest => ({
  about: { resource: PODS, namespace: "team", name },
  type: "Normal",
  reason: "Freed",
  message: "freed",
  ...more,
});
const any = () => true;
const queueOf = ({ length = 10, ageMs = 100 } = {}) => new EventQueue({ length, ageMs });

t.test("EventQueue gives the oldest warning first, then the oldest, and each once", async (t) => {
  const queue = queueOf();
  for (const one of [event("a"), event("b", { type: "Warning" }), event("c"), event("d", { type: "Warning" })])
    queue.add(one, 0);
  const names = Array.from({ length: 5 }, () => queue.take(any, 0)?.event.about.name);
  t.same(names, ["b", "d", "a", "c", undefined]);
  t.equal(queue.length, 0);
});

t.test("EventQueue gives only what is due, and keeps the rest", async (t) => {
  const queue = queueOf();
  queue.add(event("a", { type: "Warning" }), 0);
  queue.add(event("b"), 0);
  const [first] = [queue.take(any, 0)!];
  queue.add(event("a", { type: "Warning" }), 0);
  t.equal(queue.take((key) => key !== first.key, 0)?.event.about.name, "b");
  t.equal(
    queue.take((key) => key !== first.key, 0),
    undefined,
  );
  t.equal(queue.length, 1);
});

t.test("EventQueue counts equal events as one, from the first to the last, by the newest words", async (t) => {
  const queue = queueOf();
  queue.add(event("a", { message: "try 1", sameness: "x" }), 10);
  queue.add(event("a", { message: "try 2", sameness: "x" }), 30);
  t.match(queue.take(any, 40), { count: 2, firstMs: 10, lastMs: 30, event: { message: "try 2" } });
  for (const other of [event("b"), event("a", { reason: "Held" }), event("a", { message: "other" }), event("a", { about: { resource: PODS, namespace: "x", name: "a" } }), event("a", { about: { resource: PODS, namespace: "team", name: "a", uid: "u" } }), event("a")])
    queue.add(other, 50);
  t.equal(queue.length, 6, "others are not the same");
}); // biome-ignore format: rows

t.test("EventQueue drops what is older than its age, and counts how often that had happened", async (t) => {
  const queue = queueOf({ ageMs: 100 });
  queue.add(event("a"), 0);
  queue.add(event("a"), 50);
  t.equal(
    queue.take(() => false, 100),
    undefined,
  );
  t.same([queue.length, queue.dropped], [1, 0], "just as old as it may be");
  t.equal(queue.take(any, 101), undefined);
  t.same([queue.length, queue.dropped], [0, 2]);
});

t.test("EventQueue drops the newest where it is full, but counts up what waits", async (t) => {
  const queue = queueOf({ length: 2 });
  for (const name of ["a", "b", "c", "a"]) queue.add(event(name), 0);
  t.same([queue.length, queue.dropped], [2, 1]);
  t.equal(queue.take(any, 0)?.count, 2);
  queue.add(event("d"), 0);
  t.same([queue.length, queue.dropped], [2, 1]);
});

t.test(
  "EventQueue.putBack() goes together with what came meanwhile, and is dropped where that filled it",
  async (t) => {
    const queue = queueOf({ length: 1 });
    queue.add(event("a", { message: "old", sameness: "x" }), 10);
    const taken = queue.take(any, 10)!;
    queue.add(event("a", { message: "new", sameness: "x" }), 20);
    queue.putBack(taken);
    t.match(queue.take(any, 20), { count: 2, firstMs: 10, lastMs: 20, event: { message: "new" } });
    queue.putBack(taken);
    t.match(queue.take(any, 20), { count: 1, firstMs: 10, lastMs: 10 }, "as it was");
    queue.add(event("b"), 20);
    queue.putBack({ ...taken, count: 3 });
    t.same([queue.length, queue.dropped], [1, 3]);
  },
);

import { setImmediate as turn } from "node:timers/promises";
import t from "tap";
import { Slots } from "../../kubernetes/slots.ts";

const never = new AbortController().signal;

t.test("Slots lets only so many in, and the others in their order", async (t) => {
  const slots = new Slots(2);
  const came: number[] = [];
  const holders: Disposable[] = [];
  const all = [1, 2, 3, 4].map(async (n) => {
    holders.push(await slots.take(never));
    came.push(n);
  });
  await turn();
  t.same(came, [1, 2]);
  holders[0]![Symbol.dispose]();
  await turn();
  t.same(came, [1, 2, 3]);
  holders[1]![Symbol.dispose]();
  await Promise.all(all);
  t.same(came, [1, 2, 3, 4]);
});

t.test("Slots gives the place of one who left the line to the next", async (t) => {
  const slots = new Slots(1);
  const holder = await slots.take(never);
  const impatient = new AbortController();
  const left = slots.take(impatient.signal);
  const next = slots.take(never);
  impatient.abort(new Error("enough"));
  await t.rejects(left, { message: "enough" });
  holder[Symbol.dispose]();
  const last = await next;
  last[Symbol.dispose]();
  (await slots.take(never))[Symbol.dispose]();
  await t.rejects(slots.take(impatient.signal), { message: "enough" }, "one who gave up before is not let in");
});

import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { inParallel } from "../../../daemonset/addresses/parallel.ts";

t.test("inParallel() does all, a few at a time, and the first failure ends it after what had begun", async (t) => {
  let [now, most] = [0, 0];
  const done: number[] = [];
  const work = async (item: number) => {
    most = Math.max(most, ++now);
    await sleep(1);
    now--;
    if (item === 3) throw new Error("three");
    done.push(item);
  };
  const upTo = (length: number, first = 4) => Array.from({ length }, (_, i) => i + first);
  await inParallel(upTo(20), work);
  t.same(done.toSorted((a, b) => a - b), upTo(20)); // biome-ignore format: one row
  t.equal(most, 8);
  done.length = 0;
  await t.rejects(inParallel(upTo(40, 1), work), { message: "three" });
  t.equal(now, 0, "nothing goes on behind it");
  t.ok(done.length < 20, `${done.length} of 40`);
});

import { setImmediate } from "node:timers/promises";
import t from "tap";
import { Turns } from "../../cni/turns.ts";

t.test("of those that wait, the one whose sandbox came first has the next turn", async (t) => {
  const turns = new Turns();
  const seen: string[] = [];
  const take = async (sandbox: string, name: string) => {
    await turns.take(sandbox);
    seen.push(name);
  };
  const first = [take("a", "a1"), take("b", "b1"), take("c", "c1")];
  await first[0];
  await Promise.all([...first, take("b", "b2"), take("a", "a2"), take("d", "d1")]);
  t.same(seen, ["a1", "a2", "b1", "b2", "c1", "d1"]);
});

t.test("between two turns the event loop goes on", async (t) => {
  const turns = new Turns();
  const seen: string[] = [];
  const work = async (name: string) => {
    await turns.take(name);
    seen.push(name);
    await setImmediate(); // an answer that came meanwhile
    seen.push(`${name} ended`);
  };
  await Promise.all(["a", "b", "c"].map(work));
  t.ok(seen.indexOf("a ended") < seen.indexOf("c"), seen.join(", "));
});

t.test("a turn is there for who comes when nobody waits", async (t) => {
  const turns = new Turns();
  for (const sandbox of ["a", "b", "a"]) await turns.take(sandbox);
  t.pass();
});

t.test("sandboxes of long ago are forgotten", async (t) => {
  const turns = new Turns();
  for (let i = 0; i <= 1000; i++) await turns.take(`${i}`);
  const seen: string[] = [];
  const take = async (sandbox: string) => {
    await turns.take(sandbox);
    seen.push(sandbox);
  };
  await Promise.all([take("0"), take("500")]);
  t.same(seen, ["500", "0"]);
});

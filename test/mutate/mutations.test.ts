import t from "tap";
import { mutate, mutationsOf } from "./mutations.ts";

for (const { source, want } of [
  { source: "export const a = (x: number) => x < 1;", want: ["export const a = (x: number) => x <= 1;"] },
  { source: "f(a && b ? c : d);", want: [";", "f(a || b ? c : d);", "f(c);", "f(d);"] },
  { source: "if (!a) throw e;", want: ["if (true) throw e;", "if (false) throw e;", "if (a) throw e;", "if (!a) ;"] },
  { source: "await g({ uid, version: v ?? w });", want: [";", "void g({ uid, version: v ?? w });", "await g({ version: v ?? w });", "await g({ uid });", "await g({ uid, version: v });"] },
  { source: "h = [1, 2].filter(k).some(l);", want: [";", "h = [1, 2].some(l);", "h = [1, 2].filter(k).every(l);", "h = [2].filter(k).some(l);", "h = [1].filter(k).some(l);"] },
  { source: "{ using _lock: Lock = take(); }", want: ["{ using _lock: Lock = ({ [Symbol.dispose]() {} }); }"] },
  { source: 'host.log.info({ a: true }, "said"); host.step("x");', want: [] },
]) // biome-ignore format: rows
  t.test(`mutationsOf() ${source}`, async (t) => {
    const found = mutationsOf("x.ts", source).map((mutation) => mutate(source, mutation));
    t.same(found.toSorted(), want.toSorted());
  });

import t from "tap";
import { compiling } from "./compiling.ts";
import { keyOf, linesOf } from "./lines.ts";
import { type Mutation, mutate, mutationsOf } from "./mutations.ts";

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

t.test("compiling() leaves out what does not fit, with as few looks as files that come again ask for", async (t) => {
  const at = (file: string, line: number): Mutation => ({ file, line, kind: "", start: 0, end: 0, was: "", text: "" });
  const [a, b, c, d] = [at("a", 1), at("b", 1), at("a", 2), at("d", 1)] as const;
  const looks: number[] = [];
  const among = async (bad: readonly Mutation[], errors: (one: Mutation) => string) => {
    looks.length = 0;
    const look = async (some: readonly Mutation[]) => {
      looks.push(some.length);
      return new Set(some.filter((one) => bad.includes(one)).map(errors));
    };
    return Array.fromAsync(compiling([a, b, c, d], look));
  };
  t.same(await among([b], ({ file }) => file), [a, d, c]);
  t.same(looks, [3, 1]);
  t.same(await among([c], () => "user-of-c"), [a, b, d]);
  t.same(await among([d], () => "user-of-d"), [a, b, c]);
  t.same(looks, [3, 1, 1, 1, 1], "an error elsewhere: each alone");
});

t.test("linesOf() tells two equal changes of one file apart", async (t) => {
  const source = "f(\n  a && b,\n);\ng(c && d);\n";
  const keys = mutationsOf("x.ts", source)
    .filter(({ was }) => was === "&&")
    .map((one) => keyOf(one, linesOf(source, one)));
  t.same(keys, ["x.ts\ta && b,\ta || b,", "x.ts\tg(c && d);\tg(c || d);"]);
});

import t from "tap";
import type { CniError } from "../../../cni/protocol/error.ts";
import { parseJson } from "../../../cni/protocol/json.ts";
import * as fc from "../../../lab/properties.ts";

const parse = (text: string): unknown => parseJson(text, "it");

for (const [text, says] of [
  ["", "it is empty"],
  [" \n", "it is empty"],
  ["{", "unexpected end at line 1, column 2"],
  ['{"a":[1,', "unexpected end at line 1, column 9"],
  ["[1,]", 'unexpected "]" at line 1, column 4'],
  ['{"a":1,}', 'unexpected "}" at line 1, column 8'],
  ['{"a" 1}', 'unexpected "1" at line 1, column 6'],
  ["{a:1}", 'unexpected "a" at line 1, column 2'],
  ["{'a':1}", `unexpected "'" at line 1, column 2`],
  ['{"a":1}x', 'unexpected "x" at line 1, column 8'],
  ['{"a":1}{}', 'unexpected "{" at line 1, column 8'],
  ["[1 2]", 'unexpected "2" at line 1, column 4'],
  ["[1}", 'unexpected "}" at line 1, column 3'],
  ['{"a":1]', 'unexpected "]" at line 1, column 7'],
  ['{\n  "a": tru\n}', 'unexpected "t" at line 2, column 8'],
  ['{"a":\r\n01}', 'unexpected "0" at line 2, column 1'],
  ['["a",\n "b\u0001"]', "unexpected or malformed string at line 2, column 2"],
  ['["\\x"]', "unexpected or malformed string at line 1, column 2"],
  ['"a', "unexpected or malformed string at line 1, column 1"],
  ["[NaN]", 'unexpected "N" at line 1, column 2'],
  ["[1.]", 'unexpected "1" at line 1, column 2'],
  ["[😀]", 'unexpected "😀" at line 1, column 2'],
  ["\ufeff{}", 'unexpected "\ufeff" at line 1, column 1'],
  ["[".repeat(200_000), "unexpected end at line 1, column 200001"],
] as const)
  t.test(`parseJson() says where ${JSON.stringify(text.slice(0, 20))} goes wrong`, async (t) => {
    t.throws(() => parse(text), { name: "CniError", code: 6, message: `cannot decode it: ${says}` });
  });

t.test("parseJson() has a message also for a broken string of megabytes", async (t) => {
  t.throws(() => parse(`["${"\\n".repeat(5_000_000)}`), { code: 6, message: /^cannot decode it: ./ });
});

t.test("parseJson() reads what JSON.parse reads, the last of equal keys", async (t) => {
  t.same(parse('{"a":1,"b":[],"a":2}'), { a: 2, b: [] });
  fc.assert(fc.property(fc.json(), (text) => t.same(parse(text), JSON.parse(text))));
});

t.test("parseJson() finds a place in whatever JSON.parse refuses", async (t) => {
  const broken = fc
    .tuple(fc.json(), fc.nat(), fc.constantFrom("", ",", "]", "}", '"', "x", "\n", "-", "\\"))
    .map(([text, at, more]) => text.slice(0, at % (text.length + 1)) + more + text.slice((at % (text.length + 1)) + 1));
  fc.assert(
    fc.property(broken, (text) => {
      try {
        JSON.parse(text);
      } catch {
        t.match(messageOf(text), /^cannot decode it: (it is empty|unexpected .* at line \d+, column \d+)$/s, text);
      }
    }),
  );
});

function messageOf(text: string): string {
  try {
    parse(text);
    return "no error";
  } catch (error) {
    return (error as CniError).message;
  }
}

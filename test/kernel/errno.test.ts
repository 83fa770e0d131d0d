import { constants } from "node:os";
import t from "tap";
import { codeOf, errnoName } from "../../kernel/errno.ts";

/** Other names of the same number. */
const ALIASES = ["EWOULDBLOCK", "ENOTSUP", "EDEADLOCK"];

t.test("errnoName() agrees with Node's own table", async (t) => {
  const rows = Object.entries(constants.errno).filter(([name]) => !ALIASES.includes(name));
  t.ok(rows.length > 70);
  for (const [name, number] of rows) t.equal(errnoName(number), name);
});

for (const [number, want] of [
  [95, "EOPNOTSUPP"],
  [133, "EHWPOISON"],
  [524, "ENOTSUPP"],
  [0, "E0"],
  [41, "E41"],
  [134, "E134"],
  [9999, "E9999"],
] as const)
  t.test(`errnoName() of ${number} is ${want}`, async (t) => t.equal(errnoName(number), want));

t.test("codeOf() takes the code of whatever was thrown", async (t) => {
  t.equal(codeOf(Object.assign(new Error("x"), { code: "EBUSY" })), "EBUSY");
  for (const thrown of [new Error("x"), { code: 16 }, "EBUSY", undefined, null]) t.equal(codeOf(thrown), undefined);
});

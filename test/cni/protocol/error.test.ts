import t from "tap";
import { CniError, CODE, toCniError } from "../../../cni/protocol/error.ts";

t.test("toCniError() passes an error of the protocol through", async (t) => {
  const error = new CniError(CODE.TRY_AGAIN_LATER, "cannot do it", { details: "d" });
  t.equal(toCniError(error), error);
});

t.test("toCniError() keeps what was thrown as the cause", async (t) => {
  const cause = new TypeError("x is not a function");
  t.match(toCniError(cause), { code: 100, message: "x is not a function", cause });
});

for (const [row, thrown, message] of [
  ["an error without a message", new TypeError(), "TypeError"],
  ["a string", "text", "text"],
  ["undefined", undefined, "undefined"],
  ["a symbol", Symbol("s"), "Symbol(s)"],
  ["an object without toString()", Object.create(null), "something without a text was thrown"],
] as const)
  t.test(`toCniError() finds words for ${row}`, async (t) => {
    t.match(toCniError(thrown), { code: 100, message });
  });

/** What `await using` throws when a body fails, and then its undo steps, the last one first. */
async function failing(first: unknown, ...undo: readonly unknown[]): Promise<unknown> {
  try {
    await using stack = new AsyncDisposableStack();
    for (const error of undo)
      stack.defer(() => {
        throw error;
      });
    throw first;
  } catch (error) {
    return error;
  }
}

t.test("toCniError() says of a failed undo what made it necessary, and the undo in the details", async (t) => {
  const first = new CniError(7, "cannot use mtu 9999", { details: "d" });
  const thrown = await failing(first, new Error("second undo"), new Error("first undo"));
  t.match(thrown, { name: "SuppressedError" });
  t.match(toCniError(thrown), {
    code: 7,
    message: "cannot use mtu 9999",
    details: "d; undo failed too: first undo; undo failed too: second undo",
    cause: thrown,
  });
});

t.test("toCniError() needs no error of ours below a failed undo", async (t) => {
  const thrown = await failing("text", new Error("undo"));
  t.match(toCniError(thrown), { code: 100, message: "text", details: "undo failed too: undo" });
});

// Readers of JSON values: what each takes, what counts as absent, and what is said of the rest.
import t from "tap";
import {
  cidr,
  flag,
  integer,
  ip,
  list,
  natural,
  object,
  positive,
  type Read,
  record,
  required,
  text,
} from "../../../cni/protocol/decode.ts";

interface Pair {
  readonly name: string;
  readonly size?: number;
}
const pair = record<Pair>({ name: text, size: integer });
const decode = (want: string, got: string) => ({ code: 6, message: `cannot decode at: want ${want}, got ${got}` });
const unusable = (given: string, want: string) => ({ code: 7, message: `cannot use at ${given}: want ${want}` });
const AN_IP = "an IP address such as 10.0.0.1";
const A_CIDR = "an address with its prefix length such as 10.0.0.1/24";

for (const { name, read, rows } of [
  { name: "text", read: text, rows: [["a", "a"], ["", undefined], [null, undefined], [undefined, undefined], [0, decode("a string", "0")], [["a"], decode("a string", "a list")], [{}, decode("a string", "an object")]] },
  { name: "flag", read: flag, rows: [[true, true], [false, false], [null, undefined], [undefined, undefined], ["true", decode("true or false", '"true"')], [0, decode("true or false", "0")]] },
  { name: "integer", read: integer, rows: [[0, 0], [-1, -1], [2 ** 53 - 1, 2 ** 53 - 1], [null, undefined], [undefined, undefined], [2 ** 53, decode("a whole number", "9007199254740992")], [1.5, decode("a whole number", "1.5")], ["1", decode("a whole number", '"1"')]] },
  { name: "natural", read: natural, rows: [[0, 0], [1, 1], [undefined, undefined], [-1, decode("0 or more", "-1")]] },
  { name: "positive", read: positive, rows: [[1, 1], [0, undefined], [undefined, undefined], [-1, decode("0 or more", "-1")]] },
  { name: "object", read: object, rows: [[{ a: 1 }, { a: 1 }], [null, undefined], [undefined, undefined], [[], decode("an object", "a list")], ["a", decode("an object", '"a"')]] },
  { name: "ip", read: ip, rows: [["10.0.0.1", "10.0.0.1"], ["FD00:0::1", "fd00::1"], ["", undefined], [undefined, undefined], ["10.0.0.1/24", unusable('"10.0.0.1/24"', AN_IP)], [7, decode("a string", "7")]] },
  { name: "cidr", read: cidr, rows: [["10.0.0.1/24", "10.0.0.1/24"], ["FD00:0::1/64", "fd00::1/64"], ["", undefined], ["10.0.0.1", unusable('"10.0.0.1"', A_CIDR)], ["x".repeat(200), unusable(`"${"x".repeat(99)}…`, A_CIDR)]] },
  { name: "list(text)", read: list(text), rows: [[["a", "b"], ["a", "b"]], [[], []], [null, undefined], [undefined, undefined], ["a", decode("a list", '"a"')], [["a", 1], { code: 6, message: "cannot decode at[1]: want a string, got 1" }], [["a", null], { code: 6, message: "cannot decode at[1]: it is missing" }]] },
  { name: "record", read: pair, rows: [[{ name: "a", size: 1, other: 2 }, { name: "a", size: 1 }], [{ NAME: "a" }, { name: "a" }], [{}, {}], [undefined, undefined], [{ size: "x" }, { code: 6, message: 'cannot decode at.size: want a whole number, got "x"' }], [[], decode("an object", "a list")]] },
  { name: "required(text)", read: required(text) as Read<string>, rows: [["a", "a"], ["", { code: 6, message: "cannot decode at: it is missing" }], [undefined, { code: 6, message: "cannot decode at: it is missing" }]] },
] as { name: string; read: Read<unknown>; rows: [unknown, unknown][] }[]) // biome-ignore format: rows
  t.test(`${name} reads what it is for`, async (t) => {
    for (const [value, want] of rows) {
      const isRefused = typeof want === "object" && want !== null && "code" in want;
      if (isRefused) t.throws(() => read(value, "at"), want as unknown as { message: string }, JSON.stringify(value));
      else t.strictSame(read(value, "at"), want, JSON.stringify(value));
    }
  });

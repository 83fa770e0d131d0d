import t from "tap";
import { struct } from "../../../kernel/netlink/struct.ts";
import * as fc from "../../../lab/properties.ts";

const everyKind = struct("every kind", 20, [
  ["a", 0, "u32"],
  ["b", 4, "be16"],
  ["c", 6, "u16"],
  ["d", 8, "u8"],
  ["mac", 12, "mac"],
]);

t.test("struct().decode() reads what encode() wrote", async (t) => {
  const mac = fc.uint8Array({ minLength: 6, maxLength: 6 }).map((b) =>
    Buffer.from(b)
      .toString("hex")
      .replace(/..(?!$)/g, "$&:"),
  );
  const u16 = fc.integer({ min: 0, max: 0xffff });
  const values = fc.record({
    a: fc.integer({ min: 0, max: 0xffffffff }),
    b: u16,
    c: u16,
    d: fc.integer({ min: 0, max: 255 }),
    mac,
  });
  fc.assert(
    fc.property(values, (v) => {
      t.same(everyKind.decode(everyKind.encode(v)), v);
    }),
  );
});

t.test("struct().encode() reads back as the same bytes, but for what no field covers", async () => {
  const padding = [9, 10, 11, 18, 19];
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 20, maxLength: 20 }), (bytes) => {
      const want = Buffer.from(bytes).map((b, i) => (padding.includes(i) ? 0 : b));
      return everyKind.encode(everyKind.decode(Buffer.from(bytes))).equals(want);
    }),
  );
});

t.test("struct().encode() puts fields where the kernel has them, zeros elsewhere", async (t) => {
  const bytes = everyKind.encode({ a: 1, b: 0x8100, c: 2, d: 3, mac: "02:00:00:00:00:07" });
  t.equal(bytes.toString("hex"), "010000008100020003000000" + "0200000000070000");
});

for (const size of [0, 19, 21])
  t.test(`struct().decode() refuses ${size} bytes`, async (t) => {
    t.throws(() => everyKind.decode(Buffer.alloc(size)), {
      message: `cannot read every kind: it has ${size} bytes, want 20`,
    });
  });

for (const { what, fields } of [
  { what: "beyond its size", fields: [["x", 2, "u32"]] },
  {
    what: "over another field",
    fields: [
      ["x", 0, "u16"],
      ["y", 1, "u8"],
    ],
  },
  {
    what: "before the one it follows",
    fields: [
      ["x", 2, "u16"],
      ["y", 0, "u16"],
    ],
  },
] as const)
  t.test(`struct() refuses a field ${what} when it is made`, async (t) => {
    t.throws(() => struct("bad", 4, fields), /cannot use the table of bad: [xy] overlaps or is outside its 4 bytes/);
  });

for (const bad of [{ a: -1 }, { a: 2 ** 32 }, { b: 0x10000 }, { d: 256 }, { mac: "02:00" }, { mac: "xx" }])
  t.test(`struct().encode() refuses ${JSON.stringify(bad)} instead of cutting it`, async (t) => {
    t.throws(() => everyKind.encode({ a: 0, b: 0, c: 0, d: 0, mac: "00:00:00:00:00:00", ...bad }));
  });

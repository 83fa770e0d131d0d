import t from "tap";
import { attribute, attributes, nested, readText, readU32, text, u8, u32 } from "../../../kernel/netlink/attribute.ts";
import * as fc from "../../../lab/properties.ts";
import { bodiesOf, replies } from "../support/replies.ts";

t.test("attributes() of any bytes ends, reads nothing beyond them, and advances by at least a header", async () => {
  const lengths = fc.array(fc.tuple(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: 0xffff })), {
    maxLength: 8,
  });
  const likely = lengths.map((list) =>
    Buffer.concat(list.map(([n, type]) => Buffer.from([n, 0, type & 255, type >> 8, 1, 2, 3, 4]))),
  );
  fc.assert(
    fc.property(
      fc.oneof(
        likely,
        fc.uint8Array({ maxLength: 64 }).map((b) => Buffer.from(b)),
      ),
      (bytes) => {
        const whole = Buffer.concat([bytes, Buffer.alloc(64, 0xee)]);
        let end = 0;
        let count = 0;
        try {
          for (const { type, data } of attributes(whole.subarray(0, bytes.length))) {
            count++;
            const at = data.byteOffset - whole.byteOffset;
            if (at < end + 4 || at + data.length > bytes.length || type > 0x3fff) return false;
            end = at + data.length;
          }
        } catch (error) {
          return /its length is wrong/.test((error as Error).message);
        }
        return count <= bytes.length / 4;
      },
    ),
    { numRuns: 5000 },
  );
});

t.test("attributes() reads what attribute() wrote", async (t) => {
  const list = fc.array(
    fc.record({ type: fc.integer({ min: 0, max: 0x3fff }), data: fc.uint8Array({ maxLength: 9 }) }),
  );
  fc.assert(
    fc.property(list, (want) => {
      const bytes = Buffer.concat(want.map((a) => attribute(a.type, a.data)));
      t.same(
        attributes(bytes).map(({ type, data }) => ({ type, data: [...data] })),
        want.map(({ type, data }) => ({ type, data: [...data] })),
      );
    }),
  );
});

t.test("attributes() finds again every byte of a captured link", async (t) => {
  for (const body of bodiesOf(replies.links)) {
    const tail = body.subarray(16);
    const list = attributes(tail);
    t.ok(list.length > 30);
    t.equal(Buffer.concat(list.map((a) => attribute(a.type, a.data))).length, tail.length);
  }
});

for (const [what, hex] of [
  ["a length below the header's", "03000100"],
  ["a length of zero", "0000010004000100"],
  ["a length beyond the end", "0900010000000000"],
] as const)
  t.test(`attributes() refuses ${what}`, async (t) => {
    t.throws(() => attributes(Buffer.from(hex, "hex")), {
      message: "cannot read a netlink attribute: its length is wrong",
    });
  });

t.test("attributes() takes the flags off the type", async (t) => {
  t.same(
    attributes(Buffer.from("040034c0", "hex")).map((a) => a.type),
    [52],
  );
});

t.test("attribute() refuses data whose length does not fit", async (t) => {
  t.throws(() => attribute(1, Buffer.alloc(0xfffc)), RangeError);
  t.equal(attribute(1, Buffer.alloc(0xfffb)).readUInt16LE(0), 0xffff);
});

t.test("u32() refuses a number that does not fit, instead of sending another one", async (t) => {
  for (const n of [-1, 2 ** 32, 1.5e10]) t.throws(() => u32(1, n), RangeError);
  t.equal(u32(1, 2 ** 32 - 1).toString("hex"), "08000100ffffffff");
});

t.test("readU32() refuses any length but four", async (t) => {
  for (const n of [0, 1, 3, 5, 8])
    t.throws(() => readU32({ type: 4, data: Buffer.alloc(n) }), {
      message: `cannot read attribute 4: it has ${n} bytes, want 4`,
    });
});

t.test("text() ends with a zero byte, which readText() takes off", async (t) => {
  const [read] = attributes(text(3, "rail0"));
  t.equal(read!.data.toString("hex"), "7261696c3000");
  t.equal(readText(read!), "rail0");
  t.equal(readText({ type: 3, data: Buffer.alloc(0) }), "");
});

t.test("nested() holds attributes", async (t) => {
  t.equal(nested(26, [u8(8, 1), u32(1, 2)]).toString("hex"), "14001a00" + "0500080001000000" + "0800010002000000");
});

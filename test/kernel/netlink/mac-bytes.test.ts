import t from "tap";
import { macBytes, macText } from "../../../kernel/netlink/mac-bytes.ts";
import * as fc from "../../../lab/properties.ts";

t.test("macText() writes what macBytes() reads, in lower case", async () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 20 }), (bytes) => {
      const text = macText(bytes);
      return macBytes(text).equals(bytes) && macBytes(text.toUpperCase()).equals(bytes) && /^[0-9a-f:]+$/.test(text);
    }),
  );
});

t.test("macText() of no bytes is empty: a link may have no MAC", async (t) => t.equal(macText(Buffer.alloc(0)), ""));

for (const mac of ["", "02", "02:00:00:00:00:07"])
  t.test(`macBytes() of ${JSON.stringify(mac)} ${mac ? "is taken" : "is refused"}`, async (t) => {
    if (mac) t.equal(macBytes(mac).length, mac.split(":").length);
    else t.throws(() => macBytes(mac));
  });

for (const mac of [
  "2:0:0:0:0:7",
  "02-00-00-00-00-07",
  "020000000007",
  "02:00:00:00:00:0g",
  "02:00:00:00:00:07:",
  "02::07",
])
  t.test(`macBytes() refuses ${mac}`, async (t) => {
    t.throws(() => macBytes(mac), { message: `cannot use "${mac}": it is not a MAC address` });
  });

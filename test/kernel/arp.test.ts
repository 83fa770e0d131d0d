import t from "tap";
import { arpProbe, conflictIn, decodeArp, encodeArp, gratuitousArp } from "../../kernel/arp.ts";
import * as fc from "../../lab/properties.ts";
import { hex } from "./support/captures.ts";

const mac = "02:00:00:00:00:07";
const other = "02:00:00:00:00:08";

/** As arping(8) (iputils 20221126) and the kernel were seen to send them on a veth with this MAC. */
const CAPTURED = {
  "arping -U -s 10.0.0.5 10.0.0.5": "0001080006040001" + "020000000007" + "0a000005" + "ffffffffffff" + "0a000005",
  "arping -A -s 10.0.0.5 10.0.0.5": "0001080006040002" + "020000000007" + "0a000005" + "020000000007" + "0a000005",
  "arping -D 10.0.0.9": "0001080006040001" + "020000000007" + "00000000" + "ffffffffffff" + "0a000009",
  "the kernel, arp_notify": "0001080006040001" + "020000000007" + "0a000005" + "020000000007" + "0a000005",
};
const captured = (name: keyof typeof CAPTURED) => decodeArp(Buffer.from(CAPTURED[name], "hex"))!;

t.test("gratuitousArp() is byte for byte what `arping -U` sends", async (t) => {
  t.equal(hex(encodeArp(gratuitousArp(mac, "10.0.0.5"))), CAPTURED["arping -U -s 10.0.0.5 10.0.0.5"]);
});

t.test("arpProbe() differs from `arping -D` only in the target's MAC, which RFC 5227 wants to be zero", async (t) => {
  const want = CAPTURED["arping -D 10.0.0.9"].replace("ffffffffffff", "000000000000");
  t.equal(hex(encodeArp(arpProbe(mac, "10.0.0.9"))), want);
});

t.test("decodeArp() reads what encodeArp() wrote, also with padding behind it", async (t) => {
  const party = fc.record({
    mac: fc.uint8Array({ minLength: 6, maxLength: 6 }).map((b) => hex(b).replace(/..(?!$)/g, "$&:")),
    ip: fc.ipV4(),
  });
  const arp = fc.record({ operation: fc.integer({ min: 0, max: 0xffff }), sender: party, target: party });
  fc.assert(
    fc.property(arp, fc.uint8Array({ maxLength: 18 }), (want, padding) => {
      t.same(decodeArp(Buffer.concat([encodeArp(want), padding])), want);
    }),
  );
});

for (const [what, packet] of [
  ["a cut packet", CAPTURED["arping -D 10.0.0.9"].slice(0, -2)],
  ["other hardware", CAPTURED["arping -D 10.0.0.9"].replace(/^0001/, "0020")],
  ["another protocol", CAPTURED["arping -D 10.0.0.9"].replace(/^00010800/, "000186dd")],
  ["other address lengths", CAPTURED["arping -D 10.0.0.9"].replace(/^000108000604/, "000108000610")],
] as const)
  t.test(`decodeArp() leaves ${what} alone`, async (t) => t.equal(decodeArp(Buffer.from(packet, "hex")), undefined));

for (const { packet, own, owner } of [
  { packet: "arping -A -s 10.0.0.5 10.0.0.5", own: { mac: other, ip: "10.0.0.5" }, owner: mac },
  { packet: "arping -U -s 10.0.0.5 10.0.0.5", own: { mac: other, ip: "10.0.0.5" }, owner: mac },
  { packet: "arping -D 10.0.0.9", own: { mac: other, ip: "10.0.0.9" }, owner: mac },
  { packet: "arping -A -s 10.0.0.5 10.0.0.5", own: { mac: other, ip: "10.0.0.6" }, owner: undefined },
  { packet: "arping -D 10.0.0.9", own: { mac: other, ip: "10.0.0.5" }, owner: undefined },
  { packet: "arping -A -s 10.0.0.5 10.0.0.5", own: { mac: mac.toUpperCase(), ip: "10.0.0.5" }, owner: undefined },
  { packet: "arping -D 10.0.0.9", own: { mac, ip: "10.0.0.9" }, owner: undefined },
] as const)
  t.test(`conflictIn() of "${packet}" for ${own.ip} at ${own.mac} is ${owner ?? "nobody"}`, async (t) => {
    t.equal(conflictIn(captured(packet), own), owner);
  });

t.test("conflictIn() takes an ordinary question about the address for no claim to it", async (t) => {
  const question = {
    operation: 1,
    sender: { mac: other, ip: "10.0.0.8" },
    target: { mac: "00:00:00:00:00:00", ip: "10.0.0.5" },
  };
  t.equal(conflictIn(question, { mac, ip: "10.0.0.5" }), undefined);
});

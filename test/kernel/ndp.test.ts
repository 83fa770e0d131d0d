import t from "tap";
import {
  decodeNeighbourMessage,
  encodeAdvertisement,
  encodeProbe,
  isConflict,
  type NeighbourMessage,
  solicitedNode,
} from "../../kernel/ndp.ts";
import * as fc from "../../lab/properties.ts";
import { hex } from "./support/captures.ts";

const mac = "02:00:00:00:00:07";
const other = "02:00:00:00:00:08";
const nonce = Buffer.from("88da84e866f9", "hex");

/** What a kernel 6.18 sent for fd00::5 on a veth with this MAC: its duplicate address detection, and `ndisc_notify`. */
const SOLICITATION =
  "6000000000203aff00000000000000000000000000000000ff0200000000000000000001ff000005" +
  "8700fad700000000fd0000000000000000000000000000050e0188da84e866f9";
const ADVERTISEMENT =
  "6000000000203afffd000000000000000000000000000005ff020000000000000000000000000001" +
  "88005a8d20000000fd0000000000000000000000000000050201020000000007";
const ROUTER_SOLICITATION =
  "6000000000103afffe80000000000000000000fffe000007ff020000000000000000000000000002" +
  "85007b20000000000101020000000007";

const read = (packet: string) => decodeNeighbourMessage(Buffer.from(packet, "hex"));

t.test("encodeProbe() is byte for byte the kernel's duplicate address detection", async (t) => {
  t.equal(hex(encodeProbe("fd00::5", nonce)), SOLICITATION);
});

t.test(
  "encodeAdvertisement() is byte for byte the kernel's, but for the checksum that the kernel fills in",
  async (t) => {
    t.equal(hex(encodeAdvertisement(mac, "fd00::5")), ADVERTISEMENT.slice(80).replace("88005a8d", "88000000"));
  },
);

for (const [ip, group, mac] of [
  ["fd00::5", "ff02::1:ff00:5", "33:33:ff:00:00:05"],
  ["fe80::ff:fe12:3456", "ff02::1:ff12:3456", "33:33:ff:12:34:56"],
] as const)
  t.test(`solicitedNode() of ${ip} is ${group}`, async (t) => t.same(solicitedNode(ip), { ip: group, mac }));

t.test("decodeNeighbourMessage() reads the kernel's messages", async (t) => {
  t.same(read(SOLICITATION), { type: 135, from: "::", target: "fd00::5", mac: "", nonce });
  t.same(read(ADVERTISEMENT), { type: 136, from: "fd00::5", target: "fd00::5", mac });
});

for (const [what, packet] of [
  ["other ICMPv6", ROUTER_SOLICITATION],
  ["what came from beyond the link", ADVERTISEMENT.replace("3aff", "3afe")],
  ["a cut packet", ADVERTISEMENT.slice(0, 126)],
  ["IPv4", ADVERTISEMENT.replace(/^6/, "4")],
] as const)
  t.test(`decodeNeighbourMessage() leaves ${what} alone`, async (t) => t.equal(read(packet), undefined));

t.test("decodeNeighbourMessage() of any options ends", async () => {
  const options = fc.array(fc.tuple(fc.integer({ min: 0, max: 16 }), fc.integer({ min: 0, max: 3 })), { maxLength: 6 });
  fc.assert(
    fc.property(options, fc.uint8Array({ maxLength: 20 }), (list, rest) => {
      const bytes = list.map(([type, length]) => Buffer.concat([Buffer.from([type, length]), Buffer.alloc(6)]));
      const message = decodeNeighbourMessage(
        Buffer.concat([Buffer.from(ADVERTISEMENT.slice(0, 128), "hex"), ...bytes, rest]),
      );
      return message?.target === "fd00::5";
    }),
    { numRuns: 2000 },
  );
});

const own = { ip: "FD00::0:5", mac: other, nonce: Buffer.from("010203040506", "hex") };
for (const { what, message, own: mine, want } of [
  { what: "another host's advertisement", message: read(ADVERTISEMENT)!, own, want: true },
  { what: "another host's duplicate address detection", message: read(SOLICITATION)!, own, want: true },
  { what: "our own advertisement", message: read(ADVERTISEMENT)!, own: { ...own, mac }, want: false },
  { what: "our own question, looped back", message: read(SOLICITATION)!, own: { ...own, nonce }, want: false },
  {
    what: "an advertisement of another address",
    message: read(ADVERTISEMENT)!,
    own: { ...own, ip: "fd00::6" },
    want: false,
  },
  {
    what: "an ordinary question about the address",
    message: { type: 135, from: "fd00::8", target: "fd00::5", mac } as NeighbourMessage,
    own,
    want: false,
  },
])
  t.test(`isConflict() says ${want ? "yes" : "no"} to ${what}`, async (t) => t.equal(isConflict(message, mine), want));

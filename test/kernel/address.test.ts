import t from "tap";
import { addAddress, deleteAddress, IFA_F_TENTATIVE, listAddresses, parseAddress } from "../../kernel/address.ts";
import { NLM_F_CREATE, NLM_F_EXCL } from "../../kernel/netlink/message.ts";
import { hex, sent } from "./support/captures.ts";
import { bodiesOf, replies } from "./support/replies.ts";

/** The captured link. */
const INDEX = 3;

for (const { command, cidr, options } of [
  { command: "ip addr add 10.0.0.5/24 brd + dev rail0", cidr: "10.0.0.5/24", options: {} },
  { command: "ip addr add 10.0.0.6/31 dev rail0", cidr: "10.0.0.6/31", options: {} },
  { command: "ip addr add 10.0.0.7/32 dev rail0", cidr: "10.0.0.7/32", options: {} },
  { command: "ip addr add 10.0.0.7/32 dev rail0", cidr: "10.0.0.7", options: {} },
  { command: "ip addr add fd00::5/64 dev rail0", cidr: "fd00::5/64", options: {} },
  { command: "ip addr add fd00::5/64 dev rail0", cidr: "FD00:0:0::0005/64", options: {} },
  { command: "ip addr add fd00::6/64 dev rail0 nodad", cidr: "fd00::6/64", options: { noDad: true } },
  { command: "ip addr add fd00::7/64 dev rail0 noprefixroute", cidr: "fd00::7/64", options: { noPrefixRoute: true } },
  { command: "ip addr add fd00::8/64 dev rail0 optimistic", cidr: "fd00::8/64", options: { optimistic: true } },
])
  t.test(`addAddress() of ${cidr} with ${JSON.stringify(options)} sends what \`${command}\` sends`, async (t) => {
    const want = sent(command);
    const message = addAddress(INDEX, cidr, options);
    t.equal(hex(message.body), want.body);
    t.equal(message.type, want.type);
    t.equal(message.flags, NLM_F_CREATE | NLM_F_EXCL);
    t.equal(message.what, `add address ${cidr}`);
  });

for (const cidr of ["10.0.0.7/32", "fd00::7/64"])
  t.test(`deleteAddress() of ${cidr} sends what ip(8) sends`, async (t) => {
    const want = sent(`ip addr del ${cidr} dev rail0`);
    const message = deleteAddress(INDEX, cidr);
    t.equal(hex(message.body), want.body);
    t.equal(message.type, want.type);
    t.equal(message.flags ?? 0, 0);
  });

t.test("listAddresses() asks for every family and link", async (t) => {
  t.equal(hex(listAddresses().body), "0000000000000000");
});

t.test("parseAddress() reads of a dump what ip(8) reads", async (t) => {
  const got = bodiesOf(replies.addresses)
    .map(parseAddress)
    .map(({ index, cidr, flags }) => ({ index, cidr, tentative: (flags & IFA_F_TENTATIVE) !== 0 }));
  const want = replies.addresses.ip.flatMap(({ ifindex, addr_info }) =>
    addr_info.map(({ local, prefixlen, tentative = false }) => ({
      index: ifindex,
      cidr: `${local}/${prefixlen}`,
      tentative,
    })),
  );
  t.ok(
    want.some((a) => a.tentative) && want.some((a) => a.cidr.startsWith("10.0.9.1")),
    "the capture has the rare ones",
  );
  const key = (a: { index: number; cidr: string }) => `${a.index} ${a.cidr}`;
  const sorted = (list: typeof want) => list.toSorted((a, b) => key(a).localeCompare(key(b)));
  t.same(sorted(got), sorted(want));
});

import t from "tap";
import {
  addAltname,
  deleteAltname,
  deleteLink,
  getLink,
  type LinkChange,
  listLinks,
  lowerOf,
  parseLink,
  setLink,
} from "../../kernel/link.ts";
import { NLM_F_CREATE, NLM_F_EXCL } from "../../kernel/netlink/message.ts";
import type { Fd } from "../../kernel/syscall.ts";
import { hex, sent } from "./support/captures.ts";
import { bodyOf, guest, last } from "./support/guest.ts";
import { bodiesOf, type IpLink, replies } from "./support/replies.ts";

/** The captured link. */
const INDEX = 3;
const RTM_SETLINK = 19;

for (const { command, change } of [
  { command: "name rail0", change: { name: "rail0" }, dev: "v0" },
  { command: "alias hello", change: { alias: "hello" } },
  { command: 'alias ""', change: { alias: "" } },
  { command: "mtu 9000", change: { mtu: 9000 } },
  { command: "address 02:00:00:00:00:07", change: { mac: "02:00:00:00:00:07" } },
  { command: "up", change: { up: true } },
  { command: "down", change: { up: false } },
  { command: "addrgenmode none", change: { addrGenNone: true } },
  { command: "netns pod", change: { netns: { n: 4 } as Fd } },
  { command: "promisc on", change: { settings: { promisc: true } } },
  { command: "allmulticast off", change: { settings: { allmulticast: false } } },
  { command: "arp off", change: { settings: { arp: false } } },
  { command: "multicast on", change: { settings: { multicast: true } } },
  { command: "txqueuelen 77", change: { settings: { txqlen: 77 } } },
  { command: "group 7", change: { settings: { group: 7 } } },
  { command: "broadcast 00:11:22:33:44:55", change: { settings: { broadcast: "00:11:22:33:44:55" } } },
  { command: "mode dormant", change: { settings: { mode: 1 } } },
  { command: "gso_max_size 30000", change: { settings: { gsoMaxSize: 30000 } } },
  { command: "gso_max_segs 33", change: { settings: { gsoMaxSegs: 33 } } },
  { command: "gro_max_size 30000", change: { settings: { groMaxSize: 30000 } } },
] as { command: string; change: LinkChange; dev?: string }[])
  t.test(`setLink() sends what \`ip link set DEV ${command}\` sends`, async (t) => {
    const { body } = sent(`ip link set ${command.startsWith("name") ? "v0" : "rail0"} ${command}`);
    const message = setLink(INDEX, change);
    t.equal(hex(message.body), body);
    t.equal(message.type, RTM_SETLINK, "the type that refuses to create a link");
  });

t.test(
  "setLink() sends what `ip link set DEV xdpgeneric off` sends, without XDP_FLAGS_UPDATE_IF_NOEXIST",
  async (t) => {
    const { body } = sent("ip link set rail0 xdpgeneric off");
    t.equal(hex(setLink(INDEX, { xdpOff: "generic" }).body), body.replace(/03000000$/, "02000000"));
  },
);

t.test("deleteLink() sends what `ip link del` sends", async (t) => {
  const { body, type } = sent("ip link del rail0");
  const message = deleteLink(INDEX);
  t.equal(hex(message.body), body);
  t.equal(message.type, type);
});

t.test("lowerOf() tells on which link of which namespace a link stands", async (t) => {
  const [IFLA_LINK, IFLA_LINK_NETNSID] = ["0800050007000000", "0800250000000000"];
  const lower = (attributes: string) => lowerOf(Buffer.from(`${"00".repeat(16)}${attributes}`, "hex"));
  t.same(lower(IFLA_LINK), { index: 7 });
  t.same(lower(IFLA_LINK + IFLA_LINK_NETNSID), { index: 7, netnsId: 0 }, "a veth whose peer is in another namespace");
  t.equal(lower(""), undefined);
});

t.test("setLink() puts all changes into one request, the namespace first", async (t) => {
  const change = { netns: { n: 9 } as Fd, name: "net1", alias: "a", mac: "02:00:00:00:00:07", mtu: 9000, up: true };
  t.equal(
    hex(setLink(INDEX, change).body),
    [
      "00000000030000000100000001000000",
      "08001c0009000000",
      "090003006e65743100000000",
      "0500140061000000",
      "0a0001000200000000070000",
      "0800040028230000",
    ].join(""),
  );
});

// As `ip netconf` numbers them; the nesting is that of inet_fill_link_af() and inet_set_link_af(), net/ipv4/devinet.c.
t.test("setLink() nests IPv4 settings as IFLA_AF_SPEC > AF_INET > IFLA_INET_CONF", async (t) => {
  t.equal(
    hex(setLink(INDEX, { inetConf: { 8: 2, 19: 1 } }).body),
    `00000000030000000000000000000000${"1c001a00"}${"18000200"}${"14000100"}${"0800080002000000"}${"0800130001000000"}`,
  );
});

t.test("setLink() changes nothing when nothing is asked", async (t) => {
  t.equal(hex(setLink(INDEX, {}).body), "00000000030000000000000000000000");
});

for (const { verb, make } of [
  { verb: "add", make: addAltname },
  { verb: "del", make: deleteAltname },
])
  t.test(`${make.name}() sends what \`ip link property ${verb}\` sends`, async (t) => {
    const want = sent(`ip link property ${verb} dev rail0 altname enp1s0f0v0`);
    const message = make(INDEX, "enp1s0f0v0");
    t.equal(hex(message.body), want.body);
    t.equal(message.type, want.type);
    // ip(8) adds NLM_F_APPEND, which the kernel does not look at here.
    t.equal(message.flags ?? 0, verb === "add" ? NLM_F_CREATE | NLM_F_EXCL : 0);
  });

for (const { which, vfs, want } of [
  { which: { name: "v1" }, vfs: false, want: "00000000000000000000000000000000070003007631000008001d0008000000" },
  { which: { name: "v1" }, vfs: true, want: "00000000000000000000000000000000070003007631000008001d0009000000" },
  { which: { index: 3 }, vfs: false, want: "0000000003000000000000000000000008001d0008000000" },
])
  t.test(`getLink() asks for ${JSON.stringify(which)}${vfs ? " with its VFs" : ""}, without statistics`, async (t) => {
    const message = getLink(which, { vfs });
    t.equal(hex(message.body), want);
    t.equal(message.get, true);
    t.match(message.what, "name" in which ? "read v1" : "read link 3");
  });

t.test("listLinks() asks for all links without statistics", async (t) => {
  t.equal(hex(listLinks().body), "0000000000000000000000000000000008001d0008000000");
});

/** Flags that no captured link has. */
const QUIET = {
  promisc: false,
  allmulticast: false,
  debug: false,
  trailers: true,
  portsel: false,
  automedia: false,
  dynamic: false,
};

t.test("parseLink() reads of a dump what ip(8) reads", async (t) => {
  const want = replies.links.ip.map((link) => ({
    index: link.ifindex,
    type: link.link_type === "loopback" ? 772 : 1,
    name: link.ifname,
    mac: link.address,
    permMac: "",
    mtu: link.mtu,
    lacksInet: false,
    minMtu: link.min_mtu,
    maxMtu: link.max_mtu,
    up: link.flags.includes("UP"),
    carrier: link.flags.includes("LOWER_UP"),
    running: link.flags.includes("LOWER_UP"),
    alias: link.ifalias ?? "",
    altnames: link.altnames ?? [],
    parent: link.parentdev ?? "",
    kind: link.linkinfo?.info_kind ?? "",
    settings: {
      ...QUIET,
      multicast: link.flags.includes("MULTICAST"),
      arp: !link.flags.includes("NOARP"),
      mode: ["DEFAULT", "DORMANT"].indexOf(link.linkmode),
      broadcast: link.broadcast,
      txqlen: link.txqlen ?? 0, // of lo, which has none
      group: 0,
      gsoMaxSize: link.gso_max_size,
      gsoMaxSegs: link.gso_max_segs,
      groMaxSize: link.gro_max_size,
      gsoIpv4MaxSize: link.gso_max_size, // not in ip(8) 6.1
      groIpv4MaxSize: link.gro_max_size,
    },
    xdp: [],
  }));
  t.match(want[2], { name: "rail0", alias: /^railnet/, altnames: { length: 2 } }, "the capture has what is to be read");
  t.same(bodiesOf(replies.links).map(parseLink), want);
});

t.test("parseLink() reads the bus address of the device", async (t) => {
  // IFLA_PARENT_DEV_NAME (56) and IFLA_PARENT_DEV_BUS_NAME (57), by hand: a veth has neither.
  const tail = "11003800303030303a61663a30362e3000000000" + "0800390070636900";
  t.equal(parseLink(Buffer.from(`${replies.links.bodies[2]}${tail}`, "hex")).parent, "0000:af:06.0");
});

t.test("parseLink() reads of a real VF what ip(8) reads", async (t) => {
  const link = parseLink(bodyOf(last(guest.vf, "user")));
  const [ip] = guest.vf.printed as [IpLink];
  t.match(link, { index: ip.ifindex, name: ip.ifname, mac: ip.address, mtu: ip.mtu, maxMtu: ip.max_mtu });
  t.match(ip.parentdev, /^0000:/);
  t.equal(link.parent, ip.parentdev);
  t.equal(link.permMac, ip.permaddr ?? ip.address, "ip(8) shows it only where it differs");
});

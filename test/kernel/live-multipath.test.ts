// What nodes on rails ask of the kernel: multipath routes that are replaced, neighbours that are told, and asked by unicast ARP;
// ip(8) says what came of it.
import t from "tap";
import { must } from "../../lab/netns/run.ts";
import { scenario } from "./support/inside.ts";
import { Live, PEER_MAC } from "./support/live.ts";

const MAC = "02:00:00:00:00:07";
const OURS = 94;
let live: Live;
let rails: [number, number];
t.beforeEach(async () => {
  live = await Live.create();
  const { host, wire } = live;
  await host.batch([
    `link add w0 type veth peer name w1 netns ${wire.path}`,
    ...["lo", "v0", "w0"].map((link) => `link set ${link} up`),
    "addr add 192.0.2.1/32 dev lo",
    "addr add 10.1.0.1/16 dev v0",
    "addr add 10.2.0.1/16 dev w0",
    "addr add 2001:db8::1/128 dev lo",
    "addr add fd01::1/64 dev v0 nodad",
    "addr add fd02::1/64 dev w0 nodad",
  ]);
  await wire.batch([
    "link set w1 up",
    "addr add 10.1.0.2/16 dev v1",
    "addr add 10.1.0.3/16 dev v1",
    "addr add 10.2.0.2/16 dev w1",
  ]);
  rails = [await live.index(host, "v0"), await live.index(host, "w0")];
});
t.afterEach(() => live.remove());
t.jobs = 1;

type Json = Record<string, unknown>;
const FAMILIES = [
  { family: 4, dst: "192.0.2.2/32", src: "192.0.2.1", via: ["10.1.0.2", "10.2.0.2"], flag: "-4" },
  { family: 6, dst: "2001:db8::2/128", src: "2001:db8::1", via: ["fd01::2", "fd02::2"], flag: "-6" },
] as const;
const hops = (via: readonly string[], weight = 1) =>
  via.map((gateway, i) => ({ index: rails[i]!, gateway, ...(i === 0 && { weight }) }));

for (const { family, dst, src, via, flag } of FAMILIES) {
  const shown = async () =>
    (await live.host.show(flag, "route", "show", "protocol", `${OURS}`)).map((route) => ({
      metric: route["metric"],
      prefsrc: route["prefsrc"],
      hops: (route["nexthops"] as Json[] | undefined)?.map(({ gateway, dev, weight }) => ({
        gateway,
        dev,
        weight,
      })) ?? [{ gateway: route["gateway"], dev: route["dev"] }],
    }));
  const replace = (gateways: readonly string[], weight?: number) =>
    live.request(live.host, [
      "replaceRoute",
      { dst, src, priority: OURS, protocol: OURS, hops: hops(gateways, weight) },
    ] as const);

  t.test(`replaceRoute() adds, changes and shrinks a multipath route of IPv${family}`, async (t) => {
    t.same((await replace(via)).error, undefined);
    t.match(await shown(), [
      {
        metric: OURS,
        prefsrc: src,
        hops: [
          { gateway: via[0], dev: "v0", weight: 1 },
          { gateway: via[1], dev: "w0", weight: 1 },
        ],
      },
    ]);
    await replace(via, 4);
    t.match(await shown(), [{ hops: [{ weight: 4 }, { weight: 1 }] }]);
    await replace(via.slice(0, 1));
    t.match(await shown(), [{ metric: OURS, hops: [{ gateway: via[0], dev: "v0" }] }]);
    t.equal((await shown()).length, 1);
  });

  t.test(`deleteRoute() of a protocol leaves another's route to the same IPv${family} destination`, async (t) => {
    await live.host.ip(flag, "route", "add", dst, "via", via[0], "dev", "v0", "metric", "7");
    await replace(via);
    const ours = { dst, priority: OURS, protocol: OURS };
    t.same((await live.request(live.host, ["deleteRoute", ours])).error, undefined);
    const left = await live.host.show(flag, "route", "show", dst.split("/")[0]!);
    t.match(left, [{ gateway: via[0], metric: 7 }]);
    t.equal((await live.request(live.host, ["deleteRoute", ours])).error?.code, "ESRCH");
    t.equal((await live.host.show(flag, "route", "show", dst.split("/")[0]!)).length, 1);
  });

  t.test(`listMainRoutes() has what ip(8) has of IPv${family} in table main, or one protocol's alone`, async (t) => {
    await replace(via);
    await live.host.ip(flag, "route", "add", "table", "77", dst, "via", via[0], "dev", "v0");
    const dump = async (protocol?: number) => {
      const calls = [["listMainRoutes", family, ...(protocol ? [protocol] : [])]] as const;
      return (await live.run(live.host, { as: "dump", calls, parse: "parseRoute" })).answers as Json[];
    };
    t.match(await dump(OURS), [{ dst, src, protocol: OURS, priority: OURS, table: 254, hops: hops(via) }]);
    t.equal((await dump()).length, (await live.host.show(flag, "route", "show", "table", "main")).length);
  });
}

t.test(
  "tellNeighbour() makes an entry that a full table neither drops nor counts; deleteNeighbour() takes it away",
  async (t) => {
    const { error } = await live.request(
      live.host,
      ["tellNeighbour", rails[0], "10.1.0.2", PEER_MAC, OURS],
      ["tellNeighbour", rails[0], "fd01::2", PEER_MAC, OURS],
    );
    t.same(error, undefined);
    const told = async () =>
      (await live.host.showAll("-4 neigh show dev v0", "-6 neigh show dev v0"))
        .flat()
        .filter((entry) => "extern_learn" in entry);
    t.match(await told(), [
      { dst: "10.1.0.2", lladdr: PEER_MAC, extern_learn: null, protocol: `${OURS}`, state: ["STALE"] },
      { dst: "fd01::2", lladdr: PEER_MAC, extern_learn: null, protocol: `${OURS}`, state: ["STALE"] },
    ]);
    const calls = [["listNeighbours", rails[0]]] as const;
    const { answers } = await live.run(live.host, { as: "dump", calls, parse: "parseNeighbour" });
    t.match((answers as Json[]).filter(({ isTold }) => isTold), [{ index: rails[0], ip: "10.1.0.2", mac: PEER_MAC, protocol: OURS }, { ip: "fd01::2" }]); // biome-ignore format: one row
    for (let again = 0; again < 2; again++)
    t.same((await live.request(live.host, ["deleteNeighbour", rails[0], "10.1.0.2"], ["deleteNeighbour", rails[0], "fd01::2"])).error, undefined); // biome-ignore format: one row
    t.same(await told(), []);
  },
);

t.test("ArpQuestions hears whoever answers from the MAC where it was asked, and nobody else", async (t) => {
  const targets = [
    { ip: "10.1.0.2", mac: PEER_MAC.toUpperCase() },
    { ip: "10.1.0.3", mac: PEER_MAC },
    { ip: "10.1.0.4", mac: PEER_MAC },
    { ip: "10.1.0.9", mac: PEER_MAC },
  ];
  const index = rails[0];
  const question = { index, own: { ip: "10.1.0.1", mac: MAC }, targets, waitMs: 100 };
  const { value, leaked } = await scenario(live.host, "askAll", { ...question, ask: [0, 1, 2, 3] });
  t.same(value, { sent: 4, answers: [0, 1], later: [] });
  t.equal(leaked, 0);
  t.same((await scenario(live.host, "askAll", { ...question, ask: [1, 3] })).value?.answers, [1]);

  // Somebody else has the address now: it answers from another MAC.
  await live.wire.batch(["link add other link v1 type macvlan mode bridge", "link set other up", "addr del 10.1.0.3/16 dev v1", "addr add 10.1.0.3/16 dev other"]); // biome-ignore format: one row
  await must(...live.wire.enter("sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/all/arp_ignore"));
  const broadcast = targets.map((target) => ({ ...target, mac: "ff:ff:ff:ff:ff:ff" }));
  const ofOther = await scenario(live.host, "askAll", { ...question, targets: broadcast, ask: [1] });
  t.same(ofOther.value?.answers, [], "though it does answer");
});

t.test("ArpQuestions on a link that is down asks nobody, and is none of a link that is not there", async (t) => {
  const index = rails[0];
  const question = { index, own: { ip: "10.1.0.1", mac: MAC }, targets: [{ ip: "10.1.0.2", mac: PEER_MAC }], ask: [0], waitMs: 1 }; // biome-ignore format: one row
  await live.host.batch(["link set v0 down"]);
  t.same((await scenario(live.host, "askAll", question)).value, { sent: 0, answers: [], later: [] });
  t.equal((await scenario(live.host, "askAll", { ...question, index: 999 })).error?.code, "ENODEV");
});

t.test("ArpQuestions asks a thousand neighbours, and hears all that there are", async (t) => {
  const ips = Array.from({ length: 1000 }, (_, i) => `10.1.${8 + (i >> 8)}.${i & 255}`);
  await live.wire.batch(ips.filter((_, i) => i % 2 === 0).map((ip) => `addr add ${ip}/16 dev v1`));
  const targets = ips.map((ip) => ({ ip, mac: PEER_MAC }));
  const ask = targets.map((_, i) => i);
  const { value } = await scenario(live.host, "askAll", { index: rails[0], own: { ip: "10.1.0.1", mac: MAC }, targets, ask, waitMs: 300 }); // biome-ignore format: one row
  t.same([value?.sent, value?.answers.length], [1000, 500]);
});

t.test(
  "EchoQuestions go by the link they are sent by, in one piece, and are answered by the address they are for",
  async (t) => {
    const { host, wire } = live;
    await wire.batch(["link set lo up", "addr add 192.0.2.2/32 dev lo", "route add 192.0.2.1/32 via 10.1.0.1"]);
    await host.batch(["route add 192.0.2.2/32 via 10.1.0.2"]);
    await wire.exec("sh", "-c", "for i in all v1 w1; do echo 2 > /proc/sys/net/ipv4/conf/$i/rp_filter; done");
    await host.exec("sh", "-c", "for i in all v0 w0; do echo 2 > /proc/sys/net/ipv4/conf/$i/rp_filter; done");
    const [{ address: w1 }] = (await wire.show("link", "show", "w1")) as unknown as [{ address: string }];
    const [r1, r2] = rails;
    const ip = "192.0.2.2";
    const ask = [
      { index: r1, mac: PEER_MAC, ip, bytes: 1500 },
      { index: r2, mac: w1, ip, bytes: 64 },
      { index: r1, mac: PEER_MAC, ip, bytes: 1501 }, // more than the link takes
      { index: r2, mac: PEER_MAC, ip, bytes: 64 }, // nobody has that MAC there
      { index: 999, mac: PEER_MAC, ip, bytes: 64 },
    ];
    const answers = async () => (await scenario(host, "echo", { from: "192.0.2.1", ask })).value;
    t.same(await answers(), [{ number: 0, ip }, { number: 1, ip }]); // biome-ignore format: one row
    await wire.exec(
      "sh",
      "-c",
      "echo 1 > /proc/sys/net/ipv4/conf/w1/rp_filter; echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter",
    );
    t.same(await answers(), [{ number: 0, ip }], "strict rp_filter: the way back is by another link");
  },
);

// Addresses, routes and rules of the kernel layer against the kernel of this machine; ip(8) says what came of them.
import t from "tap";
import { Live } from "./support/live.ts";

let live: Live;
let index: number;
t.beforeEach(async () => {
  live = await Live.create();
  await live.host.batch(["link set v0 up", "link set lo up"]);
  index = await live.index(live.host, "v0");
});
t.afterEach(() => live.remove());
t.jobs = 1;

type Json = Record<string, unknown>;
const addressesOf = async (name: string) =>
  ((await live.host.show("addr", "show", name))[0]!["addr_info"] as Json[]).filter((a) => a["scope"] !== "link");

t.test("addAddress() adds addresses of both families, deleteAddress() removes them", async (t) => {
  const { error } = await live.request(
    live.host,
    ["addAddress", index, "10.0.0.5/24"],
    ["addAddress", index, "10.0.0.7/32"],
    ["addAddress", index, "fd00::5/64", { noDad: true }],
    ["addAddress", index, "fd00::6/64", { noPrefixRoute: true }],
  );
  t.same(error, undefined);
  t.match(await addressesOf("v0"), [
    { local: "10.0.0.5", prefixlen: 24, broadcast: "10.0.0.255" },
    { local: "10.0.0.7", prefixlen: 32, broadcast: undefined },
    { local: "fd00::6", prefixlen: 64, noprefixroute: true },
    { local: "fd00::5", prefixlen: 64, nodad: true },
  ]);
  t.match((await live.request(live.host, ["addAddress", index, "10.0.0.5/24"])).error, {
    code: "EEXIST",
    message: /^cannot add address 10\.0\.0\.5\/24: .*\(EEXIST\)$/,
  });
  await live.request(
    live.host,
    ...["10.0.0.5/24", "10.0.0.7/32", "fd00::5/64", "fd00::6/64"].map(
      (cidr) => ["deleteAddress", index, cidr] as const,
    ),
  );
  t.same(await addressesOf("v0"), []);
  t.equal((await live.request(live.host, ["deleteAddress", index, "10.0.0.5/24"])).error?.code, "EADDRNOTAVAIL");
});

t.test("listAddresses() and parseAddress() see what ip(8) sees, also while a duplicate is looked for", async (t) => {
  await live.host.batch(["addr add 10.0.0.5/24 dev v0", "addr add fd00::5/64 dev v0"]);
  const { answers } = await live.run(live.host, { as: "dump", calls: [["listAddresses"]], parse: "parseAddress" });
  const own = (answers as { index: number; cidr: string; flags: number }[]).filter((a) => a.index === index);
  t.match(
    own.map((a) => a.cidr).filter((cidr) => !cidr.startsWith("fe80")),
    ["10.0.0.5/24", "fd00::5/64"],
  );
  t.equal(own.find((a) => a.cidr === "fd00::5/64")!.flags & 0x40, 0x40, "tentative");
});

/** A route or rule without what ip(8) adds to it. */
const only = (object: Json, ...keys: string[]) =>
  Object.fromEntries(keys.flatMap((k) => (k in object ? [[k, object[k]]] : [])));

for (const { when, route, show, want } of [
  {
    when: "on a link",
    route: { dst: "10.1.0.0/16" },
    show: ["route", "show", "10.1.0.0/16"],
    want: { dst: "10.1.0.0/16", dev: "v0", protocol: "boot", scope: "link" },
  },
  {
    when: "over a gateway with metrics, priority, source and table",
    route: {
      dst: "10.2.0.0/16",
      gateway: "10.0.0.1",
      table: 1000,
      priority: 50,
      src: "10.0.0.5",
      mtu: 1400,
      advmss: 1360,
    },
    show: ["route", "show", "table", "1000"],
    want: {
      dst: "10.2.0.0/16",
      gateway: "10.0.0.1",
      metric: 50,
      prefsrc: "10.0.0.5",
      metrics: [{ mtu: 1400, advmss: 1360 }],
    },
  },
  {
    when: "by default",
    route: { dst: "0.0.0.0/0", gateway: "10.0.0.1" },
    show: ["route", "show", "default"],
    want: { dst: "default", gateway: "10.0.0.1", dev: "v0" },
  },
  {
    when: "over several hops",
    route: { dst: "10.3.0.0/16", hops: [{ gateway: "10.0.0.1" }, { gateway: "10.0.0.2", weight: 3 }] },
    show: ["route", "show", "10.3.0.0/16"],
    want: {
      nexthops: [
        { gateway: "10.0.0.1", weight: 1 },
        { gateway: "10.0.0.2", weight: 3 },
      ],
    },
  },
  {
    when: "to an IPv6 network",
    route: { dst: "fd02::/64", gateway: "fd00::1", mtu: 1400 },
    show: ["-6", "route", "show", "fd02::/64"],
    want: { dst: "fd02::/64", gateway: "fd00::1", metrics: [{ mtu: 1400 }] },
  },
  {
    when: "to everything in IPv6",
    route: { dst: "::/0", gateway: "fd00::1", table: 1000 },
    show: ["-6", "route", "show", "table", "1000"],
    want: { dst: "default", gateway: "fd00::1" },
  },
  {
    when: "over several hops in IPv6",
    route: { dst: "fd03::/64", hops: [{ gateway: "fd00::1" }, { gateway: "fd00::2", weight: 2 }] },
    show: ["-6", "route", "show", "fd03::/64"],
    want: {
      nexthops: [
        { gateway: "fd00::1", weight: 1 },
        { gateway: "fd00::2", weight: 2 },
      ],
    },
  },
] as { when: string; route: Json & { hops?: Json[] }; show: string[]; want: Json }[])
  t.test(`addRoute() makes a route ${when}, parseRoute() reads it, deleteRoute() removes it`, async (t) => {
    await live.host.batch(["addr add 10.0.0.5/24 dev v0", "addr add fd00::5/64 dev v0 nodad"]);
    const spec = route.hops ? { ...route, hops: route.hops.map((hop) => ({ index, ...hop })) } : { ...route, index };
    t.same((await live.request(live.host, ["addRoute", spec])).error, undefined);
    t.match(await live.host.show(...show), [want]);
    t.equal((await live.request(live.host, ["addRoute", spec])).error?.code, "EEXIST");

    const { answers } = await live.run(live.host, { as: "dump", calls: [["listRoutes"]], parse: "parseRoute" });
    const read = (answers as Json[]).find((r) => r["dst"] === route["dst"] && (r["hops"] || r["index"] === index));
    t.match(read, spec);

    t.same((await live.request(live.host, ["deleteRoute", read])).error, undefined, "what was read names the route");
    t.same(await live.host.show(...show), []);
    t.equal((await live.request(live.host, ["deleteRoute", spec])).error?.code, "ESRCH");
  });

t.test("addRoute() refused says the kernel's reason", async (t) => {
  const { error } = await live.request(live.host, ["addRoute", { dst: "10.2.0.0/16", gateway: "10.9.9.9", index }]);
  t.match(error, {
    code: "ENETUNREACH",
    message: "cannot add route 10.2.0.0/16 via 10.9.9.9: Nexthop has invalid gateway (ENETUNREACH)",
  });
});

t.test("deleteRoute() removes a route of the kernel's own", async (t) => {
  await live.host.ip("addr", "add", "10.0.0.5/24", "dev", "v0");
  t.same((await live.request(live.host, ["deleteRoute", { dst: "10.0.0.0/24", index }])).error, undefined);
  t.same(await live.host.show("route", "show", "10.0.0.0/24"), []);
});

for (const { rule, family, want } of [
  { rule: { from: "10.0.0.5/32", table: 100, priority: 1000 }, family: "-4", want: { src: "10.0.0.5", table: "100" } },
  {
    rule: { from: "10.0.0.0/24", iif: "v0", table: 1000, priority: 1001 },
    family: "-4",
    want: { src: "10.0.0.0", srclen: 24, iif: "v0", table: "1000" },
  },
  { rule: { from: "fd00::5/128", table: 1000, priority: 1000 }, family: "-6", want: { src: "fd00::5", table: "1000" } },
])
  t.test(`addRule() from ${rule.from} makes a rule, parseRule() reads it, deleteRule() removes it`, async (t) => {
    const rules = async () =>
      (await live.host.show(family, "rule"))
        .filter((r) => r["src"] !== "all")
        .map((r) => only(r, "priority", ...Object.keys(want)));
    t.same((await live.request(live.host, ["addRule", rule])).error, undefined);
    t.same(await rules(), [{ priority: rule.priority, ...want }]);
    t.equal((await live.request(live.host, ["addRule", rule])).error?.code, "EEXIST");
    const { answers } = await live.run(live.host, { as: "dump", calls: [["listRules"]], parse: "parseRule" });
    t.same((answers as Json[]).filter(Boolean), [rule]);
    t.same((await live.request(live.host, ["deleteRule", rule])).error, undefined);
    t.same(await rules(), []);
    t.equal((await live.request(live.host, ["deleteRule", rule])).error?.code, "ENOENT");
  });

t.test("deleteRule() leaves rules of other tables and priorities alone", async (t) => {
  const rule = { from: "10.0.0.5/32", table: 100, priority: 1000 };
  const others = [
    { ...rule, table: 101 },
    { ...rule, priority: 1001 },
    { ...rule, from: "10.0.0.6/32" },
  ];
  await live.request(live.host, ...[rule, ...others].map((r) => ["addRule", r] as const));
  await live.request(live.host, ["deleteRule", rule]);
  const { answers } = await live.run(live.host, { as: "dump", calls: [["listRules"]], parse: "parseRule" });
  const byText = (a: Json, b: Json) => JSON.stringify(a).localeCompare(JSON.stringify(b));
  t.same((answers as Json[]).filter(Boolean).sort(byText), others.sort(byText));
});

t.test("batch() runs all messages, then throws the first refusal", async (t) => {
  const add = (cidr: string) => ["addAddress", index, cidr] as const;
  const calls = [
    add("10.0.0.1/24"),
    add("10.0.0.1/24"),
    add("10.0.0.2/24"),
    ["deleteAddress", index, "10.9.9.9/32"] as const,
    add("10.0.0.3/24"),
  ];
  const { error } = await live.run(live.host, { as: "batch", calls });
  t.match(error, { code: "EEXIST", message: /10\.0\.0\.1\/24/ });
  t.same(
    (await addressesOf("v0")).map((a) => a["local"]),
    ["10.0.0.1", "10.0.0.2", "10.0.0.3"],
  );
});

t.test("batch() gets an answer to each of 2,000 messages", async (t) => {
  const calls = Array.from(
    { length: 2000 },
    (_, i) => ["addRoute", { dst: `10.${100 + (i >> 8)}.${i & 255}.0/24`, index }] as const,
  );
  t.same((await live.run(live.host, { as: "batch", calls })).error, undefined);
  t.equal((await live.host.show("route", "show", "scope", "link")).length, 2000);
  const again = await live.run(live.host, { as: "batch", calls });
  t.equal(again.error?.message, "cannot add route 10.100.0.0/24: refused (EEXIST)", "the first of 2,000 refusals");
});

// Requests of the kernel layer against the kernel of this machine; ip(8) says what came of them.
import t from "tap";
import { scenario } from "./support/inside.ts";
import { Live } from "./support/live.ts";

let live: Live;
t.beforeEach(async () => {
  live = await Live.create();
});
t.afterEach(() => live.remove());
t.jobs = 1;

t.test("setLink() moves, renames, marks, sets MTU, MAC and IPv4 settings in one request", async (t) => {
  const { host, pod } = live;
  const change = {
    netns: pod.path,
    name: "net1",
    alias: "railnet 0000:af:06.0",
    mac: "02:00:00:00:00:aa",
    mtu: 1400,
    up: true,
    inetConf: { 8: 2, 18: 2, 19: 1, 22: 1 },
  };
  t.same((await live.request(host, ["setLink", await live.index(host, "v0"), change])).error, undefined);
  const [link] = await pod.show("link", "show", "net1");
  t.match(link, { ifname: "net1", ifalias: "railnet 0000:af:06.0", address: "02:00:00:00:00:aa", mtu: 1400 });
  t.ok((link!["flags"] as string[]).includes("UP"));
  const settings = ["rp_filter", "arp_announce", "arp_ignore", "arp_notify"];
  const read = settings.map((key) => `/proc/sys/net/ipv4/conf/net1/${key}`);
  t.equal(await pod.exec("sh", "-c", `cat ${read.join(" ")}`), "2\n2\n1\n1\n");
  t.same(
    (await host.show("link")).map((l) => l["ifname"]),
    ["lo"],
  );
});

t.test("setLink() refused with EEXIST has moved the link all the same, under its old name", async (t) => {
  const { host, pod } = live;
  await pod.ip("link", "add", "net1", "type", "veth");
  const change = { netns: pod.path, name: "net1", alias: "mark" };
  const { error } = await live.request(host, ["setLink", await live.index(host, "v0"), change, "move v0 to the pod"]);
  t.equal(error?.code, "EEXIST");
  t.match(error?.message, /^cannot move v0 to the pod: .* \(EEXIST\)$/);
  t.match(await pod.show("link", "show", "v0"), [{ ifname: "v0", ifalias: undefined }]);
});

for (const { what, change, code, message } of [
  {
    what: "an MTU above the maximum",
    change: { mtu: 100_000 },
    code: "EINVAL",
    message: "mtu greater than device maximum",
  },
  { what: "a multicast MAC", change: { mac: "01:00:00:00:00:01" }, code: "EADDRNOTAVAIL", message: "" },
  { what: "a name with a slash", change: { name: "a/b" }, code: "EINVAL", message: "" },
  { what: "an alias of 256 bytes", change: { alias: "x".repeat(256) }, code: "ERANGE", message: "Attribute failed" },
] as const)
  t.test(`setLink() refused for ${what} says so in the kernel's words, if it has some`, async (t) => {
    const index = await live.index(live.host, "v0");
    const { error } = await live.request(live.host, ["setLink", index, change, "change v0"]);
    t.equal(error?.code, code);
    t.match(error?.message, new RegExp(`^cannot change v0: ${message}.* \\(${code}\\)$`));
  });

t.test('setLink() takes an alias away with ""', async (t) => {
  const index = await live.index(live.host, "v0");
  await live.request(live.host, ["setLink", index, { alias: "mark" }]);
  t.equal((await live.host.show("link", "show", "v0"))[0]!["ifalias"], "mark");
  t.same((await live.request(live.host, ["setLink", index, { alias: "" }])).error, undefined);
  t.equal((await live.host.show("link", "show", "v0"))[0]!["ifalias"], undefined);
});

t.test("setLink() of a link that is gone is refused with ENODEV and creates none", async (t) => {
  const { error } = await live.request(live.host, ["setLink", 4242, { name: "new" }, "rename it"]);
  t.equal(error?.code, "ENODEV");
  t.equal((await live.host.show("link")).length, 2);
});

t.test("addAltname() and deleteAltname() change alternative names, one at a time", async (t) => {
  const { host } = live;
  const index = await live.index(host, "v0");
  const names = async () => (await host.show("link", "show", "v0"))[0]!["altnames"] ?? [];
  await live.request(
    host,
    ["addAltname", index, "enp175s6"],
    ["addAltname", index, "a.name.of.fifteen.letters.and.more"],
  );
  t.same(await names(), ["enp175s6", "a.name.of.fifteen.letters.and.more"]);
  t.equal((await live.request(host, ["addAltname", index, "enp175s6"])).error?.code, "EEXIST");
  await live.request(host, ["deleteAltname", index, "enp175s6"]);
  t.same(await names(), ["a.name.of.fifteen.letters.and.more"]);
  t.equal((await live.request(host, ["deleteAltname", index, "enp175s6"])).error?.code, "ENOENT");
});

t.test("getLink() finds a link by name and by index, and refuses what is not there with ENODEV", async (t) => {
  const { host } = live;
  const index = await live.index(host, "v0");
  const get = (which: object) => live.run(host, { as: "requests", calls: [["getLink", which]], parse: "parseLink" });
  t.match((await get({ name: "v0" })).answers, [{ index, name: "v0", mac: "02:00:00:00:00:07", up: false }]);
  t.match((await get({ index })).answers, [{ index, name: "v0" }]);
  t.equal((await get({ name: "v9" })).error?.code, "ENODEV");
  t.equal((await get({ name: "v9" })).error?.message, "cannot read v9: refused (ENODEV)");
});

t.test("listLinks() lists hundreds of links, over many datagrams", async (t) => {
  const { host } = live;
  await host.batch(Array.from({ length: 150 }, (_, i) => `link add d${i} mtu ${1000 + i} type veth peer name p${i}`));
  const { answers } = await live.run(host, { as: "dump", calls: [["listLinks"]], parse: "parseLink" });
  const want = (await host.show("link")).map((l) => ({ name: l["ifname"], mtu: l["mtu"], mac: l["address"] }));
  t.equal(want.length, 302);
  t.match(answers, want);
});

t.test("NetlinkSocket closes what it opened: 2,000 of them leave no descriptor", async (t) => {
  const index = await live.index(live.host, "v0");
  const { fds } = await live.run(live.host, { as: "requests", calls: [["getLink", { index }]], times: 2000 });
  t.equal(fds[1], fds[0]);
});

t.test("nicCountersOf() reads what ethtool -S shows, and nothing of a link that is not there", async (t) => {
  const { host } = live;
  const shown = (await host.exec("ethtool", "-S", "v0")).matchAll(/^ +(\S+): (\d+)$/gm);
  const { value, leaked } = await scenario(host, "nicCounters", { link: "v0" });
  t.ok(Object.keys(value!).length > 0);
  t.same(value, Object.fromEntries([...shown].map(([, name, count]) => [name, Number(count)])));
  t.equal(leaked, 0);
  t.same((await scenario(host, "nicCounters", { link: "nothing" })).value, {});
});

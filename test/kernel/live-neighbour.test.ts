// Announcements and duplicate address probes on a veth pair: what comes out at the other end, byte for byte.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import t, { type Test } from "tap";
import { until } from "../../lab/until.ts";
import { inside, type Outcome, scenario } from "./support/inside.ts";
import { Live, PEER_MAC } from "./support/live.ts";

const MAC = "02:00:00:00:00:07";
const ETHERNET = { broadcast: "ffffffffffff", allNodes: "333300000001", from: "020000000007" };

/** `arping -U -s 10.0.0.5 10.0.0.5`, and the kernel's `ndisc_notify`, as captured on a link of this MAC. */
const GRATUITOUS_ARP = "0001080006040001" + "020000000007" + "0a000005" + "ffffffffffff" + "0a000005";
const LINK_LOCAL = "fe80::ff:fe00:7";
const ADVERTISEMENT =
  "6000000000203afffe80000000000000000000fffe000007ff020000000000000000000000000001" +
  "8800598920000000fe80000000000000000000fffe0000070201020000000007";

let live: Live;
let index: number;
t.beforeEach(async () => {
  live = await Live.create();
  index = await live.index(live.host, "v0");
});
t.afterEach(() => live.remove());
t.jobs = 1;

/** Brings v0 up with its link-local address usable at once, and stays quiet about it. */
async function up(): Promise<void> {
  await live.host.exec("sh", "-c", "echo 0 > /proc/sys/net/ipv6/conf/v0/accept_dad");
  await live.host.batch(["link set v0 up", "addr add 10.0.0.5/24 dev v0"]);
  await sleep(300); // what the kernel says by itself then
}

/** What arrives at the other end while `act` runs. */
async function heard(act: () => Promise<Outcome<unknown>>, t: Test, at = "v1"): Promise<string[]> {
  const where = live.wire;
  const input = JSON.stringify({ index: await live.index(where, at) });
  const [command, args] = where.enter(...inside("sniff", input));
  const sniffer = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] });
  let out = "";
  sniffer.stdout.on("data", (d) => (out += d));
  await once(sniffer.stderr, "data");
  const outcome = await act();
  t.same({ error: outcome.error, leaked: outcome.leaked }, { error: undefined, leaked: 0 });
  await sleep(50);
  sniffer.stdin.end();
  await once(sniffer, "close");
  return (JSON.parse(out) as Outcome<string[]>).value!;
}

t.test("announce() of an IPv4 address is sriov-cni's gratuitous ARP on the wire", async (t) => {
  await up();
  const frames = await heard(() => scenario(live.host, "say", { index, mac: MAC, addresses: ["10.0.0.5/24"] }), t);
  t.same(
    frames.filter((f) => f.slice(24, 28) === "0806"),
    [`${ETHERNET.broadcast}${ETHERNET.from}0806${GRATUITOUS_ARP}`],
  );
});

t.test(
  "announce() of an IPv6 address is the kernel's unsolicited advertisement on the wire, checksum and all",
  async (t) => {
    await up();
    const frames = await heard(
      () => scenario(live.host, "say", { index, mac: MAC, addresses: [`${LINK_LOCAL}/64`] }),
      t,
    );
    t.same(
      frames.filter((f) => f.startsWith(ETHERNET.allNodes)),
      [`${ETHERNET.allNodes}${ETHERNET.from}86dd${ADVERTISEMENT}`],
    );
  },
);

t.test("announce() sends on the link itself, whatever routes say", async (t) => {
  const { host, wire } = live;
  await host.batch(["link add w0 type veth peer name w1", `link set w1 netns ${wire.path}`]);
  await host.exec("sh", "-c", "echo 0 > /proc/sys/net/ipv6/conf/w0/accept_dad");
  await wire.ip("link", "set", "w1", "up");
  await host.batch(["link set w0 up"]);
  await up();
  await host.ip("-6", "route", "add", "multicast", "ff02::/16", "dev", "w0", "table", "local", "metric", "1");
  const addresses = [`${LINK_LOCAL}/64`, "10.0.0.5/24"];
  const frames = await heard(() => scenario(host, "say", { index, mac: MAC, addresses }), t, "w1");
  const isOurs = (frame: string) => frame.includes(ADVERTISEMENT.slice(-48)) || frame.includes(GRATUITOUS_ARP);
  t.same(frames.filter(isOurs), []);
});

t.test("announce() on a link that is down is refused, and leaves no socket", async (t) => {
  const addresses = ["10.0.0.5/24", "10.0.0.6/24"];
  const { error, leaked } = await scenario(live.host, "say", { index, mac: MAC, addresses });
  t.equal(error?.code, "ENETDOWN");
  t.equal(leaked, 0);
});

t.test("announce() closes the first socket when the second address cannot be announced", async (t) => {
  await up();
  await live.host.exec("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/v0/disable_ipv6");
  const addresses = ["10.0.0.5/24", "fd00::5/64"];
  const { error, leaked } = await scenario(live.host, "say", { index, mac: MAC, addresses });
  t.match(error?.code, /^E/);
  t.equal(leaked, 0);
});

for (const { family, taken, free } of [
  { family: "IPv4", taken: "10.0.0.9", free: "10.0.0.10" },
  { family: "IPv6", taken: "fd00::9", free: "fd00::10" },
]) {
  const add = () =>
    live.wire.batch(["addr add 10.0.0.9/24 dev v1", "addr add fd00::9/64 dev v1 nodad"]).then(() => up());

  t.test(`probe() names the owner of an ${family} address`, async (t) => {
    await add();
    const outcome = await scenario(live.host, "ask", { index, mac: MAC, ip: taken, waitMs: 100, times: 5 });
    t.same(outcome, { value: PEER_MAC, leaked: 0 });
  });

  t.test(`probe() finds nobody at a free ${family} address, and nobody learns ours from it`, async (t) => {
    await add();
    const outcome = await scenario(live.host, "ask", { index, mac: MAC, ip: free, waitMs: 50, times: 8 });
    t.same(outcome, { value: null, leaked: 0 });
    t.same(
      (await live.wire.show("neigh")).filter((n) => n["dst"] === free || n["dst"] === "0.0.0.0" || n["dst"] === "::"),
      [],
    );
  });

  t.test(`probe() notices another host that asks for the same ${family} address at that moment`, async (t) => {
    await up();
    const other = { index: await live.index(live.wire, "v1"), mac: PEER_MAC, ip: free, waitMs: 200, times: 5 };
    const [ours, theirs] = await Promise.all([
      scenario(live.host, "ask", { index, mac: MAC, ip: free, waitMs: 200, times: 5 }),
      scenario(live.wire, "ask", other),
    ]);
    t.ok(ours.value ?? theirs.value, "at least the one that began first");
    for (const { value } of [ours, theirs]) t.match(value ?? MAC, family === "IPv4" ? /^02:00:00:00:00:0[78]$/ : /./);
  });
}

t.test("probe() on a link that is down is refused", async (t) => {
  for (const ip of ["10.0.0.9", "fd00::9"]) {
    const { error, leaked } = await scenario(live.host, "ask", { index, mac: MAC, ip, waitMs: 1 });
    t.equal(error?.code, "ENETDOWN");
    t.equal(leaked, 0);
  }
});

t.test("probe() hears the owner behind a storm of other IPv6 packets", async (t) => {
  await live.wire.batch(["addr add fd00::9/64 dev v1 nodad"]);
  await live.host.batch(["addr add fd00::5/64 dev v0 nodad"]);
  await up();
  const question = scenario(live.host, "ask", { index, mac: MAC, ip: "fd00::20", waitMs: 6000 });
  await sleep(300);
  await live.wire.exec("bash", "-c", "for i in {1..3000}; do echo x > /dev/udp/fd00::5/9; done");
  const there = { index: await live.index(live.wire, "v1"), mac: PEER_MAC, addresses: ["fd00::20"] };
  t.equal((await scenario(live.wire, "say", there)).error, undefined);
  t.same(await question, { value: PEER_MAC, leaked: 0 });
});

t.test(
  "probe() of an IPv6 address listens to the groups where its answers go, and no longer than it asks",
  async (t) => {
    await up();
    const groups = async () => {
      const [{ maddr }] = (await live.host.show("maddr", "show", "dev", "v0")) as unknown as [
        { maddr: { link?: string }[] },
      ];
      return maddr
        .flatMap(({ link }) => link ?? [])
        .filter((mac) => mac.startsWith("33:33:ff") && mac.endsWith(":00:20"));
    };
    const question = scenario(live.host, "ask", { index, mac: MAC, ip: "fd00::20", waitMs: 600 });
    await until("the group of fd00::20 is joined", async () => (await groups()).length === 1);
    t.equal((await question).value, null);
    t.same(await groups(), []);
  },
);

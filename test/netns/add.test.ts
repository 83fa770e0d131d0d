import t, { type Test } from "tap";
import { type Attachment, type Reply, WAYS } from "../../lab/netns/call.ts";
import { type Inside, inside } from "../../lab/netns/inside.ts";
import { unchanged } from "../../lab/netns/unchanged.ts";
import { World } from "../../lab/netns/world.ts";

const world = await World.create();
t.teardown(() => world.close());
const pod = await world.pod();
const [vf] = world.vfs;
const mac = String((await world.host.show("link", "show", vf!.netdev))[0]?.["address"]);

interface Row {
  readonly when: string;
  readonly config?: Record<string, unknown>;
  readonly rest?: Partial<Attachment>;
  /** What the IPAM plugin answers. */
  readonly ipam?: object;
  /** What the result has beside `cniVersion`; `ours` is our interface. */
  readonly result?: object;
  readonly ours?: object;
  /** What the pod shows. */
  readonly shows?: Partial<Inside>;
  readonly sysctl?: Readonly<Record<string, string>>;
}

const V4 = { ips: [{ address: "10.20.0.5/24", gateway: "10.20.0.1" }] };
const V6 = { ips: [{ address: "fd00:20::5/64", gateway: "fd00:20::1" }] };
const BOTH = { ips: [...V4.ips, ...V6.ips] };
const own = ({ ips }: typeof V4, index = 0) => ({ ips: ips.map((ip) => ({ ...ip, interface: index })) });
const RAIL4 = "10.20.0.0/24 dev net1 scope link src 10.20.0.5";
const RAIL6 = "fd00:20::/64 dev net1 metric 256";

const LAYER_2: Partial<Row> = {
  result: { ips: undefined, routes: undefined },
  shows: { addresses: [], routes: [], rules: [] },
};
const ROWS: readonly Row[] = [
  { when: "with layer 2 only", config: { ipam: undefined }, ...LAYER_2 },
  { when: "with an empty ipam", config: { ipam: {} }, ...LAYER_2 },
  { when: "with an empty ipam.type", config: { ipam: { type: "" } }, ...LAYER_2 },
  { when: "with IPv4", ipam: V4, result: own(V4), shows: { addresses: ["10.20.0.5/24"], routes: [RAIL4], rules: [] } },
  { when: "with IPv6", ipam: V6, result: own(V6), shows: { addresses: ["fd00:20::5/64"], routes: [RAIL6], rules: [] } },
  {
    when: "with both",
    ipam: BOTH,
    result: own(BOTH),
    shows: { addresses: ["10.20.0.5/24", "fd00:20::5/64"], routes: [RAIL4, RAIL6] },
  },
  {
    when: "with routes",
    ipam: {
      ...BOTH,
      routes: [
        { dst: "10.21.0.0/16" },
        { dst: "10.22.0.0/16", gw: "10.20.0.2", mtu: 1400, advmss: 1300, priority: 7 },
        { dst: "10.23.0.0/16", table: 77 },
        { dst: "10.24.0.0/16", scope: 253 },
        { dst: "fd00:21::/48" },
        { dst: "fd00:22::/48", gw: "fd00:20::2" },
      ],
    },
    shows: {
      routes: [
        RAIL4,
        RAIL6,
        "10.21.0.0/16 via 10.20.0.1 dev net1",
        "10.22.0.0/16 via 10.20.0.2 dev net1 metric 7 mtu 1400 advmss 1300",
        "10.23.0.0/16 via 10.20.0.1 dev net1 table 77",
        "10.24.0.0/16 dev net1 scope link",
        "fd00:21::/48 via fd00:20::1 dev net1 metric 1024",
        "fd00:22::/48 via fd00:20::2 dev net1 metric 1024",
      ].sort(),
    },
  },
  {
    when: "with a default route",
    ipam: { ...BOTH, routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }] },
    shows: {
      routes: [RAIL4, RAIL6, "default via 10.20.0.1 dev net1", "default via fd00:20::1 dev net1 metric 1024"].sort(),
    },
  },
  {
    when: "with source rules",
    config: { sourceRules: { table: 99, priority: 500 } },
    ipam: { ...BOTH, routes: [{ dst: "10.21.0.0/16" }] },
    shows: {
      rules: ["500: from 10.20.0.5 lookup 99", "500: from fd00:20::5 lookup 99"],
      routes: [
        RAIL4,
        RAIL6,
        "10.20.0.0/24 dev net1 table 99 scope link src 10.20.0.5",
        "10.21.0.0/16 via 10.20.0.1 dev net1",
        "10.21.0.0/16 via 10.20.0.1 dev net1 table 99",
        "default via 10.20.0.1 dev net1 table 99",
        "default via fd00:20::1 dev net1 table 99 metric 1024",
        "fd00:20::/64 dev net1 table 99 metric 1024",
      ].sort(),
    },
  },
  {
    when: "with sysctls",
    config: { sysctl: { "net.ipv4.conf.IFNAME.accept_redirects": "0", "net.ipv6.conf.IFNAME.accept_ra": "0" } },
    sysctl: {
      "net.ipv4.conf.net1.accept_redirects": "0",
      "net.ipv6.conf.net1.accept_ra": "0",
      "net.ipv4.conf.net1.arp_ignore": "1",
      "net.ipv4.conf.net1.arp_announce": "2",
      "net.ipv4.conf.net1.rp_filter": "2",
    },
  },
  { when: "with an MTU", config: { mtu: 1400 }, ours: { mtu: 1400 }, shows: { mtu: 1400 } },
  {
    when: "with a MAC",
    config: { mac: "02-00-00-00-00-AA" },
    ours: { mac: "02:00:00:00:00:aa" },
    shows: { mac: "02:00:00:00:00:aa" },
  },
  {
    when: "with MACs in all four places",
    config: {
      mac: "02:00:00:00:00:01",
      args: { cni: { mac: "02:00:00:00:00:02" } },
      runtimeConfig: { mac: "02:00:00:00:00:04" },
    },
    rest: { env: { CNI_ARGS: "MAC=02:00:00:00:00:03" } },
    ours: { mac: "02:00:00:00:00:04" },
    shows: { mac: "02:00:00:00:00:04" },
  },
  { when: "with the VF's rail, by name", config: { rail: "rail0" } },
  { when: "with the VF's rail, by PCI address", config: { rail: "0000:A0:00.0" } },
  { when: "with the VF's rail, by index", config: { rail: 0 } },
  { when: "with the device in pciBusID", config: { deviceID: undefined, pciBusID: vf!.pci } },
  {
    when: "with the device in runtimeConfig, which wins",
    config: { deviceID: "0000:ff:00.0", runtimeConfig: { deviceID: vf!.pci } },
  },
  { when: "with the longest name", rest: { ifname: "abcdefghijklmno" }, ours: { name: "abcdefghijklmno" } },
  {
    when: "with a name that has a dot",
    config: { sysctl: { "net.ipv4.conf.IFNAME.forwarding": "1" } },
    rest: { ifname: "net.1" },
    ours: { name: "net.1" },
  },
  { when: "with the VF's own name", rest: { ifname: vf!.netdev }, ours: { name: vf!.netdev } },
  { when: "with a containerID of 300 characters", rest: { id: "c".repeat(300) } },
  { when: "with dns", config: { dns: { nameservers: ["10.0.0.1"] } }, result: { dns: { nameservers: ["10.0.0.1"] } } },
  {
    when: "with a duplicate-address probe that nobody answers",
    config: { duplicateAddressProbe: true },
    shows: { addresses: ["10.20.0.5/24"] },
  },
];

for (const via of WAYS)
  for (const row of ROWS)
    t.test(`ADD and DEL ${row.when} (${via})`, (t) =>
      unchanged(t, world, via, async () => {
        if (row.ipam) world.ipam.gives(row.ipam);
        const empty = await inside(pod);
        const a = world.attachment(pod, row.config, row.rest);
        const reply = await world.call(via, "ADD", a);
        t.equal(reply.exit, 0, reply.stdout + reply.stderr);
        checkResult(t, reply, a, row);
        const now = await inside(pod, a.ifname);
        t.match(now, { up: true, mac, mtu: 1500, ...row.shows });
        for (const [key, value] of Object.entries(row.sysctl ?? {}))
          t.equal((await pod.exec("sysctl", "-n", key)).trim(), value, key);
        const deleted = await world.call(via, "DEL", a);
        t.match(deleted, { exit: 0, stdout: "", stderr: "" });
        t.same(await inside(pod), empty, "the pod is as before");
        const calls = world.ipam.calls().map(({ verb, containerId }) => `${verb} ${containerId === a.id}`);
        t.same(calls, (a.config["ipam"] as { type?: string })?.type ? ["ADD true", "DEL true"] : []);
      }),
    );

function checkResult(t: Test, { json }: Reply, a: Attachment, { result, ours }: Row): void {
  const { cniVersion, interfaces, ...rest } = json!;
  t.equal(cniVersion, "1.1.0");
  t.match(interfaces, [{ name: a.ifname, mac, mtu: 1500, sandbox: a.netns, pciID: vf!.pci, ...ours }]);
  t.equal((interfaces as unknown[]).length, 1);
  if (result) t.match(rest, result);
}

import t from "tap";
import { toText } from "../../../ipam/address.ts";
import { candidates } from "../../../ipam/allocate.ts";
import { type Given, POD, read } from "./support.ts";

const RANGE = "10.0.0.0/24";
const STANDARD = ["/etc/kubernetes", "/etc", "/host/etc"].map(
  (dir) => `${dir}/cni/net.d/whereabouts.d/whereabouts.conf`,
);
const flat = (content: object) => JSON.stringify({ kubernetes: { kubeconfig: "/flat" }, ...content });

const first = (given: Given): string[] =>
  read(given).ranges.map(({ range }) => {
    const { value } = candidates(range, () => false).next();
    return toText({ isV6: range.isV6, value: value as bigint });
  });

t.test("readIpamConfig() reads who asks", async (t) => {
  const args = `${POD};K8S_POD_UID=u-1;K8S_POD_INFRA_CONTAINER_ID=c1`;
  t.match(read({ ipam: { range: RANGE }, args }), { podref: "default/p1", podUid: "u-1" });
  t.notOk("podUid" in read({ ipam: { range: RANGE } }));
});

t.test("readIpamConfig() matches keys whatever their case", async (t) => {
  const ipam = {
    Range: "10.0.0.0/16",
    RANGE_START: "10.0.1.0",
    IPRANGES: [{ RANGE: "fd00::/64", Exclude: ["fd00::1"] }],
    GateWay: "10.0.0.1",
    NETWORK_NAME: "rail0",
    Routes: [{ DST: "10.1.0.0/16", Gw: "10.0.0.2" }],
    DNS: { NameServers: ["10.0.0.3"] },
    Enable_Overlapping_Ranges: false,
  };
  t.same(first({ ipam }), ["10.0.1.0", "fd00::2"]);
  t.match(read({ ipam }), {
    gateway: "10.0.0.1",
    routes: [{ dst: "10.1.0.0/16", gw: "10.0.0.2" }],
    dns: { nameservers: ["10.0.0.3"] },
    ranges: [{ pool: { network: "rail0", overlapping: false } }, { pool: { network: "rail0", overlapping: false } }],
  });
});

t.test("readIpamConfig() clears the fields beside range once they are range's", async (t) => {
  const ipam = {
    range: "10.0.0.0/16",
    range_start: "10.0.1.0",
    exclude: ["10.0.1.0"],
    ipRanges: [{ range: "10.0.0.0/24" }],
  };
  t.same(first({ ipam }), ["10.0.1.1", "10.0.0.1"]);
});

t.test("readIpamConfig() reads leading zeros in the bounds beside range as decimal", async (t) => {
  const bounds = { range_start: "00192.00168.1.5", range_end: "000000192.168.1.25" };
  const { range } = read({ ipam: { range: "192.168.1.0/24", ...bounds } }).ranges[0]!;
  t.same(
    [range.first, range.last].map((value) => toText({ isV6: false, value })),
    ["192.168.1.5", "192.168.1.25"],
  );
});

t.test("readIpamConfig() leaves excludes and bounds without a range unused", async (t) => {
  t.same(first({ ipam: { range_start: "10.0.0.9", exclude: ["x"], ipRanges: [{ range: RANGE }] } }), ["10.0.0.1"]);
});

for (const { when, own, flatValue, want } of [
  { when: "false in the flat file alone", own: undefined, flatValue: false, want: true },
  { when: "false in the flat file, true in the configuration", own: true, flatValue: false, want: true },
  { when: "true in the flat file, false in the configuration", own: false, flatValue: true, want: false },
  { when: "false in the configuration alone", own: false, flatValue: undefined, want: false },
  { when: "nothing anywhere", own: undefined, flatValue: undefined, want: true },
])
  t.test(`readIpamConfig() takes enable_overlapping_ranges as ${want}: ${when}`, async (t) => {
    const ipam = { range: RANGE, enable_overlapping_ranges: own };
    const files = { [STANDARD[1]!]: flat({ enable_overlapping_ranges: flatValue }) };
    t.equal(read({ ipam, files }).ranges[0]!.pool.overlapping, want);
  });

t.test("readIpamConfig() takes from the flat file what the configuration leaves empty", async (t) => {
  const content = {
    log_file: "/tmp/whereabouts.log",
    gateway: "10.0.0.5",
    leader_lease_duration: 3000,
    routes: [{ dst: "10.2.0.0/16" }],
    dns: { nameservers: ["10.0.0.7"], domain: "flat" },
    range: "10.9.0.0/24",
    network_name: "flat",
  };
  const ipam = { range: RANGE, gateway: "10.0.0.1", routes: [], dns: { domain: "own", search: [] } };
  t.match(read({ ipam, files: { [STANDARD[1]!]: flat(content) } }), {
    storage: { kind: "kubernetes", kubeconfig: "/flat" },
    gateway: "10.0.0.1",
    routes: [{ dst: "10.2.0.0/16" }],
    dns: { nameservers: ["10.0.0.7"], domain: "own" },
    ranges: [{ pool: { name: "flat-10.0.0.0-24", cidr: "10.0.0.0/24" } }],
  });
});

t.test("readIpamConfig() takes the first flat file that exists", async (t) => {
  const files = Object.fromEntries(STANDARD.map((path, i) => [path, flat({ gateway: `10.0.0.${i}` })]));
  const ipam = { range: RANGE };
  t.equal(read({ ipam, files }).gateway, "10.0.0.0");
  t.equal(read({ ipam, files: { [STANDARD[2]!]: files[STANDARD[2]!]! } }).gateway, "10.0.0.2");
  const policy = { flatFiles: ["/root/own.conf"] };
  t.equal(
    read({ ipam, policy, files: { ...files, "/root/own.conf": flat({ gateway: "10.0.0.9" }) } }).gateway,
    "10.0.0.9",
  );
});

t.test("readIpamConfig() names the flat file that is no JSON", async (t) => {
  const files = { [STANDARD[1]!]: "{" };
  const message = `LoadIPAMConfig Flatfile (${STANDARD[1]}) - JSON Parsing Error: cannot decode ${STANDARD[1]}: unexpected end at line 1, column 2 / bytes: {`;
  t.throws(() => read({ ipam: { range: RANGE }, files }), { code: 999, message });
});

/** Where addresses are kept. */
const NO_STORAGE =
  "you have not configured the storage engine (looks like you're using an invalid `kubernetes.kubeconfig` parameter in your config)";
const OURS = { type: "railnet-ipam", range: RANGE };
const THEIRS = { type: "whereabouts", range: RANGE };
const NAMED = { kubernetes: { kubeconfig: "/own" } };
for (const { when, ipam, files = {}, policy = {}, want } of [
  { when: "whereabouts with a flat file", ipam: THEIRS, files: { [STANDARD[1]!]: flat({}) }, want: { kind: "kubernetes", kubeconfig: "/flat" } },
  { when: "whereabouts with the node's kubeconfig", ipam: THEIRS, policy: { kubeconfig: "/node" }, want: { kind: "kubernetes", kubeconfig: "/node" } },
  { when: "the node's kubeconfig before the flat file's", ipam: THEIRS, files: { [STANDARD[1]!]: flat({}) }, policy: { kubeconfig: "/node" }, want: { kind: "kubernetes", kubeconfig: "/node" } },
  { when: "the configuration's, trusted, before both", ipam: { ...THEIRS, ...NAMED }, files: { [STANDARD[1]!]: flat({}) }, policy: { kubeconfig: "/node", trustNetworkConfig: true }, want: { kind: "kubernetes", kubeconfig: "/own" } },
  { when: "the configuration's, not trusted", ipam: { ...THEIRS, ...NAMED }, files: { [STANDARD[1]!]: flat({}) }, want: { kind: "kubernetes", kubeconfig: "/flat" } },
  { when: "the configuration's, trusted, without a flat file", ipam: { ...THEIRS, ...NAMED }, policy: { trustNetworkConfig: true }, want: { kind: "kubernetes", kubeconfig: "/own" } },
  { when: "whereabouts with nothing", ipam: THEIRS, want: "config file not found" },
  { when: "whereabouts with a flat file that names none", ipam: THEIRS, files: { [STANDARD[1]!]: "{}" }, want: NO_STORAGE },
  { when: "railnet-ipam with nothing", ipam: OURS, want: { kind: "directory", path: "/var/lib/railnet/addresses" } },
  { when: "railnet-ipam with the node's directory", ipam: OURS, policy: { directory: "/shared" }, want: { kind: "directory", path: "/shared" } },
  { when: "railnet-ipam with the node's kubeconfig", ipam: OURS, policy: { kubeconfig: "/node" }, want: { kind: "kubernetes", kubeconfig: "/node" } },
  { when: "railnet-ipam with a flat file that names none", ipam: OURS, files: { [STANDARD[1]!]: "{}" }, want: NO_STORAGE },
  { when: "a flat file that names none, and the node's directory", ipam: OURS, files: { [STANDARD[1]!]: "{}" }, policy: { directory: "/shared" }, want: { kind: "directory", path: "/shared" } },
  { when: "railnet-ipam that means a cluster, not trusted: no directory instead", ipam: { ...OURS, ...NAMED }, want: NO_STORAGE },
] as { when: string; ipam: object; files?: Record<string, string>; policy?: object; want: string | object }[]) // biome-ignore format: rows
  t.test(`readIpamConfig() on where addresses are kept: ${when}`, async (t) => {
    const given = { ipam, files, policy };
    if (typeof want === "string") t.throws(() => read(given), { code: 999, message: want });
    else t.same(read(given).storage, want);
  });

t.test("readIpamConfig() ignores fields that name files, with one warning", async (t) => {
  const own = { log_file: "/etc/shadow", configuration_path: "/evil", kubernetes: { kubeconfig: "/evil" } };
  const files = { "/evil": flat({ gateway: "10.0.0.66" }), [STANDARD[1]!]: flat({ gateway: "10.0.0.1" }) };
  const warnings: object[] = [];
  const config = read({ ipam: { range: RANGE, ...own }, files }, warnings);
  t.match(config, { gateway: "10.0.0.1", storage: { kubeconfig: "/flat" } });
  t.same(warnings, [{ network: "net", fields: ["kubernetes.kubeconfig", "log_file", "configuration_path"] }]);
});

t.test("readIpamConfig() takes them from a configuration that is trusted", async (t) => {
  const files = { "/own": flat({ gateway: "10.0.0.66" }), [STANDARD[1]!]: flat({ gateway: "10.0.0.1" }) };
  const warnings: object[] = [];
  const ipam = { range: RANGE, configuration_path: "/own" };
  t.equal(read({ ipam, files, policy: { trustNetworkConfig: true } }, warnings).gateway, "10.0.0.66");
  t.same(warnings, []);
});

/** Addresses that the pod asks for. */
const ASKED = {
  ipRanges: [{ range: "10.0.0.0/24", exclude: ["10.0.0.64/28"] }, { range: "fd00::/64" }],
  gateway: "10.0.0.1",
};
const ips = (...list: unknown[]) => ({ runtimeConfig: { ips: list } });
for (const { when, rest = {}, args = POD, want, fixed = [] } of [
  { when: "runtimeConfig.ips", rest: ips("10.0.0.5", "fd00:0::5/64"), want: ["10.0.0.5", "fd00::5"] },
  { when: "args.cni.ips", rest: { args: { cni: { ips: ["10.0.0.5/24"] } } }, want: ["10.0.0.5"] },
  { when: "runtimeConfig.ips before args.cni.ips", rest: { ...ips("10.0.0.6"), args: { cni: { ips: ["10.0.0.5"] } } }, want: ["10.0.0.6"] },
  { when: "an empty runtimeConfig.ips", rest: { ...ips(), args: { cni: { ips: ["10.0.0.5"] } } }, want: ["10.0.0.5"] },
  { when: "CNI_ARGS IP in a range", args: `${POD};IP=10.0.0.5/24`, want: ["10.0.0.5"] },
  { when: "CNI_ARGS IP in a range, without prefix length", args: `${POD};IP=010.0.0.5`, want: ["10.0.0.5"] },
  { when: "CNI_ARGS IP outside of all ranges", args: `${POD};IP=10.7.0.5/24;GATEWAY=10.7.0.1`, want: [], fixed: [{ address: "10.7.0.5/24", gateway: "10.7.0.1" }] },
  { when: "both kinds of CNI_ARGS IP", args: `${POD};IP=10.7.0.5/24,fd00::5/64`, want: ["fd00::5"], fixed: [{ address: "10.7.0.5/24" }] },
  { when: "an address outside of all ranges", rest: ips("10.7.0.5"), want: 'cannot use runtimeConfig.ips[0] "10.7.0.5": it is in no range of this network (10.0.0.0/24, fd00::/64); ask for a free address of 10.0.0.0/24, fd00::/64, one a range' },
  { when: "the gateway", rest: ips("10.0.0.1"), want: 'cannot use runtimeConfig.ips[0] "10.0.0.1": it is the gateway; ask for another one of 10.0.0.0/24, fd00::/64' },
  { when: "an excluded address", rest: { args: { cni: { ips: ["10.0.0.70"] } } }, want: 'cannot use args.cni.ips[0] "10.0.0.70": it is excluded from 10.0.0.0/24; ask for a free address of 10.0.0.0/24, fd00::/64, one a range' },
  { when: "an excluded address in CNI_ARGS", args: `${POD};IP=10.0.0.70/24`, want: 'cannot use CNI_ARGS IP "10.0.0.70/24": it is excluded from 10.0.0.0/24; ask for a free address of 10.0.0.0/24, fd00::/64, one a range' },
  { when: "the network", rest: ips("fd00::"), want: 'cannot use runtimeConfig.ips[0] "fd00::": it is the address of the network fd00::/64 itself; ask for a free address of 10.0.0.0/24, fd00::/64, one a range' },
  { when: "the broadcast address", rest: ips("10.0.0.255"), want: 'cannot use runtimeConfig.ips[0] "10.0.0.255": it is the broadcast address of 10.0.0.0/24; ask for a free address of 10.0.0.0/24, fd00::/64, one a range' },
  { when: "two of one range", rest: ips("10.0.0.5", "10.0.0.6"), want: 'cannot use runtimeConfig.ips[1] "10.0.0.6": another address of the same range is asked for too; ask for a free address of 10.0.0.0/24, fd00::/64, one a range' },
  { when: "one address twice, as Multus says it", rest: ips("10.0.0.5"), args: `${POD};IP=10.0.0.5`, want: ["10.0.0.5"] },
  { when: "one address twice, in other words", rest: ips("10.0.0.5/24", "FD00:0::5/64"), args: `${POD};IP=010.0.0.5,fd00::5/64`, want: ["10.0.0.5", "fd00::5"] },
  { when: "one address in two channels, and another one", rest: ips("10.0.0.5"), args: `${POD};IP=10.0.0.6`, want: 'cannot use CNI_ARGS IP "10.0.0.6": another address of the same range is asked for too; ask for a free address of 10.0.0.0/24, fd00::/64, one a range' },
  { when: "no address", rest: ips("five"), want: 'cannot use runtimeConfig.ips[0] "five": it is not an IP address; ask for one such as 10.0.0.5' },
  { when: "no text", rest: ips(5), want: "cannot decode runtimeConfig.ips: want a list of strings" },
] as { when: string; rest?: object; args?: string; want: string | string[]; fixed?: object[] }[]) // biome-ignore format: rows
  t.test(`readIpamConfig() on a pod that asks for ${when}`, async (t) => {
    const given = { ipam: ASKED, rest, args };
    if (typeof want === "string") return t.throws(() => read(given), { message: want });
    const { asked, fixed: others } = read(given);
    return t.same({ asked: asked.filter(Boolean), others }, { asked: want, others: fixed });
  });

/** Ranges of one network, and which of them an address goes to. */
const APART = {
  ipRanges: [{ range: "10.0.0.10-10.0.0.19/24" }, { range: "10.0.0.20-10.0.0.29/24" }, { range: "10.0.0.0/16" }],
};
for (const [asked, want] of [
  [
    ["10.0.0.25", "10.0.0.15"],
    ["10.0.0.15", "10.0.0.25", undefined],
  ],
  [
    ["10.0.0.15", "10.0.0.16"],
    ["10.0.0.15", undefined, "10.0.0.16"],
  ],
  [
    ["10.0.9.1", "10.0.0.16", "10.0.0.17"],
    ["10.0.0.16", "10.0.0.17", "10.0.9.1"],
  ],
  [["10.0.0.99"], [undefined, undefined, "10.0.0.99"]],
] as const)
  t.test(
    `readIpamConfig() gives each wish a range, by preference one that has it in its bounds: ${asked}`,
    async (t) => {
      t.same([...read({ ipam: APART, rest: ips(...asked) }).asked].sort(), [...want].sort());
      const ranges = read({ ipam: APART, rest: ips(...asked) }).asked;
      for (const [i, ip] of want.entries()) if (ip !== undefined && asked.length < 3) t.ok(ranges.includes(ip), `${i}`);
    },
  );

t.test("readIpamConfig() refuses a wish that ipam.addresses has already", async (t) => {
  const ipam = { range: RANGE, addresses: [{ address: "10.0.0.5/24" }] };
  t.throws(() => read({ ipam, rest: ips("10.0.0.5") }), {
    message:
      'cannot use runtimeConfig.ips[0] "10.0.0.5": ipam.addresses has it already; ask for a free address of 10.0.0.0/24, one a range',
  });
});

t.test("readIpamConfig() excludes the gateway only with exclude_gateway", async (t) => {
  const ipam = { range: RANGE, gateway: "10.0.0.1" };
  t.same(first({ ipam }), ["10.0.0.1"]);
  t.same(first({ ipam: { ...ipam, exclude_gateway: true } }), ["10.0.0.2"]);
  t.same(first({ ipam: { ...ipam, exclude_gateway: true, gateway: "fd00::1" } }), ["10.0.0.1"]);
  const files = { [STANDARD[1]!]: flat({ exclude_gateway: true }) };
  t.same(first({ ipam, files }), ["10.0.0.2"]);
  t.same(first({ ipam: { ...ipam, exclude_gateway: false }, files }), ["10.0.0.1"]);
});

t.test("readIpamConfig() reads same_index", async (t) => {
  t.equal(read({ ipam: { range: RANGE } }).sameIndex, false);
  t.equal(read({ ipam: { range: RANGE, same_index: true } }).sameIndex, true);
});

/** What only we refuse, and what Whereabouts sees only when it allocates. */
for (const { when, ipam, code = 7, message } of [
  { when: "a network_name in capitals", ipam: { range: RANGE, network_name: "Rail0" }, message: /^cannot use range 10.0.0.0\/24 of network Rail0: its object would be named "Rail0-10.0.0.0-24", and Kubernetes/ },
  { when: "a network_name that is a path", ipam: { range: RANGE, network_name: "../../etc" }, message: /^cannot use range/ },
  { when: "a network_name that is too long", ipam: { range: RANGE, network_name: "a".repeat(250) }, message: /^cannot use range/ },
  { when: "::/126, whose name would begin with a hyphen", ipam: { range: "::/126" }, message: /^cannot use range ::\/126: its object would be named "---126"/ },
  { when: "G12: a range behind 2^63", ipam: { range: "fd00::/64", range_start: "fd00::8000:0:0:0" }, message: /^cannot use range fd00::\/64: its addresses are more than 2\^63 after fd00::/ },
  { when: "excludes up to 2^63", ipam: { range: "fd00::/64", exclude: ["fd00::/65"] }, message: /^cannot use range fd00::\/64: its addresses are more than 2\^63 after fd00::/ },
  { when: "a slice larger than its range", ipam: { range: RANGE, node_slice_size: "/22" }, message: 'cannot use ipam.node_slice_size "/22": subnetMaskSize must be greater or equal than netMaskSize (10.0.0.0/24)' },
  { when: "a slice without addresses", ipam: { range: RANGE, node_slice_size: "31" }, message: 'cannot use ipam.node_slice_size "31": no address is left in a slice; want at most /30' },
  { when: "a slice of no size", ipam: { range: RANGE, node_slice_size: "x" }, message: 'cannot use ipam.node_slice_size "x": want a prefix length such as /24' },
  { when: "a range without addresses", ipam: { range: "10.0.0.0/31" }, code: 999, message: "error at storage engine: net mask is too short, subnet {10.0.0.0 fffffffe} has no usable IP addresses, it is too small" },
  { when: "an exclude that is none", ipam: { range: RANGE, exclude: ["100::2::1"] }, code: 999, message: 'error at storage engine: could not parse exclude range, err: "invalid CIDR address: 100::2::1"' },
  { when: "a number for a range", ipam: { range: 5 }, code: 6, message: "cannot decode ipam.range: want a string, got 5" },
  { when: "a text for a list", ipam: { ipRanges: "x" }, code: 6, message: 'cannot decode ipam.ipRanges: want a list, got "x"' },
  { when: "a text for true", ipam: { enable_overlapping_ranges: "true" }, code: 6, message: 'cannot decode ipam.enable_overlapping_ranges: want true or false, got "true"' },
  { when: "a route that is none", ipam: { routes: [{ dst: "x" }] }, code: 7, message: /^cannot use ipam.routes\[0\].dst "x"/ },
] as { when: string; ipam: object; code?: number; message: string | RegExp }[]) // biome-ignore format: rows
  t.test(`readIpamConfig() refuses ${when}`, async (t) => {
    t.throws(() => read({ ipam }), { code, message });
  });

t.test("readIpamConfig() keeps IPv6 addresses within 2^63, whichever end they are taken from", async (t) => {
  const { range } = read({ ipam: { range: "fd00::/64" } }).ranges[0]!;
  const { value } = candidates(range, () => false, "highest").next();
  t.equal(toText({ isV6: true, value: value as bigint }), "fd00::7fff:ffff:ffff:ffff");
});

t.test("readIpamConfig() wants a pod's name in a cluster, and takes the sandbox elsewhere", async (t) => {
  const message = "error at storage engine: IPAM client initialization error: no pod name";
  t.throws(() => read({ ipam: { range: RANGE }, args: "" }), { code: 999, message });
  t.equal(read({ ipam: OURS, args: "", files: {} }).podref, "/c1");
});

t.test("readIpamConfig() names the slices after the network when it has no network_name", async (t) => {
  t.equal(read({ ipam: { range: RANGE, node_slice_size: "26" } }).slices?.name, "net");
  t.notOk("slices" in read({ ipam: { node_slice_size: "26" } }));
});

t.test("readIpamConfig() of a DEL passes over what it does not need", async (t) => {
  const ipam = {
    range: "x",
    exclude: ["y"],
    ipRanges: [{ range: "10.0.0.0/31" }, { range: RANGE, exclude: ["z"] }, { range: "fd00::/64" }, { range: "::/126" }],
    gateway: "g",
    addresses: [{ address: "a" }],
    node_slice_size: "s",
  };
  const args = "FOO=bar;IP=i";
  const { ranges, fixed, asked } = read({ verb: "DEL", ipam, args, rest: ips("j") });
  t.same(
    ranges.map(({ pool }) => pool.name),
    ["10.0.0.0-24", "fd00---64"],
  );
  t.same({ fixed, asked }, { fixed: [], asked: [] });
});

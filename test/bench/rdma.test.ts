import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { parsePods, railsIn } from "../../bench/rdma/kubectl.ts";
import { parseOptions, USAGE } from "../../bench/rdma/options.ts";
import { parseIperf } from "../../cli/bench/rdma/iperf.ts";
import { parseBandwidth, parseLatency } from "../../cli/bench/rdma/perftest.ts";
import { addressOn, gidFor, parseSurvey } from "../../cli/bench/rdma/survey.ts";

/** 4.5: what the programs printed, over soft-RoCE. 24.07 and 2.3: their formats, by their source and public outputs. */
const golden = (name: string) => readFileSync(join(import.meta.dirname, `perftest/${name}.txt`), "utf8");

for (const [name, gbps, mtuBytes] of [
  ["4.5-bandwidth-mb", (4.04 * 8 * 1024 * 1024) / 1e9, 1024],
  ["4.5-bandwidth-gbits", 0.018852, 1024],
  ["4.5-bandwidth-duration", (2.87 * 8 * 1024 * 1024) / 1e9, 1024],
  ["4.5-bandwidth-server", (4.04 * 8 * 1024 * 1024) / 1e9, 1024],
  ["4.5-bandwidth-cpu", 0.025765, 1024],
  ["4.5-bandwidth-two-qps", 0.015583, 1024],
  ["24.07-bandwidth-gbits", 196.43, 4096],
  ["24.07-bandwidth-mib", 196.43, 4096],
] as const)
  t.test(`parseBandwidth() reads ${name}`, async (t) => {
    const found = parseBandwidth(golden(name));
    t.ok(Math.abs(found.gbps / gbps - 1) < 1e-4, `${found.gbps} is ${gbps} Gb/s`);
    t.equal(found.mtuBytes, mtuBytes);
  });

for (const [name, want] of [
  ["4.5-latency", { typicalUs: 4179.14, p99Us: 34138.08, mtuBytes: 1024 }],
  ["4.5-latency-nan", { typicalUs: 11689.44, p99Us: 213286.34, mtuBytes: 1024 }],
  ["24.07-latency", { typicalUs: 1.81, p99Us: 2.05, mtuBytes: 4096 }],
] as const)
  t.test(`parseLatency() reads ${name}`, async (t) => t.same(parseLatency(golden(name)), want));

const GOOD = golden("24.07-bandwidth-gbits");
const edited = (from: string | RegExp, to: string) => {
  const text = GOOD.replace(from, to);
  t.not(text, GOOD, `${from} is there`);
  return text;
};
for (const { when, output, message } of [
  { when: "is of the other program", output: golden("4.5-latency"), message: /not those of ib_write_bw: "#bytes/ },
  { when: "was cut off", output: golden("4.5-bandwidth-cut-off"), message: /cut off in the result: "4194304 / },
  { when: "ended before its row", output: edited(/\n 65536.*/, ""), message: /0 rows where one is expected/ },
  { when: "has several sizes", output: edited(/\n 65536.*/, "$&$&"), message: /2 rows .*one message size/ },
  {
    when: "adds both directions",
    output: golden("4.5-bandwidth-both-ways"),
    message: /both directions together \(-b\)/,
  },
  { when: "moved nothing", output: edited("196.43", "0.00"), message: /nothing was moved: "65536 / },
  { when: "has no number", output: edited("196.43", "-nan"), message: /"-nan" is not a number/ },
  { when: "has a column less", output: edited("0.374660", ""), message: /4 columns where its head has 5/ },
  { when: "has a column more", output: edited("0.374660", "0.374660 7"), message: /6 columns where its head has 5/ },
  { when: "has another unit", output: edited(/Gb\/sec/g, "GB/sec"), message: /not those of ib_write_bw/ },
  { when: "has two units", output: edited("peak[Gb/sec]", "peak[MB/sec]"), message: /not those of ib_write_bw/ },
  { when: "has another order", output: edited("BW average", "BW best"), message: /not those of ib_write_bw/ },
  {
    when: "says something else between head and row",
    output: edited(/\n 65536/, "\nQP is in error$&"),
    message: /4 columns where its head has 5/,
  },
  { when: "tells no MTU", output: edited(/ Mtu .*\n/, ""), message: /no MTU/ },
  { when: "is empty", output: "", message: /no result: ""/ },
  {
    when: "is an error's",
    output: " Couldn't connect to 10.0.0.1:18515\n",
    message: /no result: "Couldn't connect to/,
  },
])
  t.test(`parseBandwidth() refuses what ${when}`, async (t) => {
    t.throws(() => parseBandwidth(output), { message });
  });

for (const { when, output, message } of [
  { when: "a duration, which has no percentiles", output: golden("4.5-latency-duration"), message: /\(-n\), not with/ },
  { when: "a version without percentiles", output: golden("2.3-latency"), message: /not those of ib_write_lat/ },
  { when: "bandwidth", output: GOOD, message: /not those of ib_write_lat/ },
  {
    when: "no number",
    output: golden("4.5-latency").replace("4179.14", "-nan"),
    message: /"-nan" is not a number/,
  },
  { when: "no time at all", output: golden("4.5-latency").replace("4179.14", "0.00"), message: /took no time/ },
])
  t.test(`parseLatency() refuses ${when}`, async (t) => t.throws(() => parseLatency(output), { message }));

t.test("parseIperf() reads what has arrived, and refuses everything else", async (t) => {
  t.equal(parseIperf('{"end":{"sum_sent":{"bits_per_second":3e9},"sum_received":{"bits_per_second":2.5e9}}}'), 2.5);
  t.throws(() => parseIperf('{"end":{},"error":"unable to connect"}'), { message: /iperf3 says: unable to connect/ });
  t.throws(() => parseIperf('{"end":{"sum_received":{"bits_per_second":0}}}'), { message: /bits_per_second is 0/ });
  t.throws(() => parseIperf('{"end":{"sum_received":{}}}'), { message: /is undefined/ });
  t.throws(() => parseIperf("iperf3: error"), { message: /no JSON: "iperf3: error"/ });
});

/** A pod in shared mode on mlx5: its own device is mlx5_5; mlx5_4 is another pod's, whose link is called net1 as well. */
const SURVEY = parseSurvey(`program ip
program ib_write_bw
address 1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever
address 3: eth0@if9    inet 10.42.1.7/24 brd 10.42.1.255 scope global eth0\\       valid_lft forever preferred_lft forever
address 5: net1    inet 192.168.0.11/24 brd 192.168.0.255 scope global net1\\       valid_lft forever preferred_lft forever
address 5: net1    inet6 fe80::aa:ff:fe00:0/64 scope link \\       valid_lft forever preferred_lft forever
address 6: net2    inet6 fd00:1::b/64 scope global \\       valid_lft forever preferred_lft forever
address 7: net3    inet 192.168.2.11/24 scope global net3\\       valid_lft forever preferred_lft forever
address 8: net4    inet 192.168.3.11/24 scope global net4\\       valid_lft forever preferred_lft forever
gid mlx5_4 1 3 0000:0000:0000:0000:0000:ffff:c0a8:000c net1 RoCE v2
gid mlx5_5 1 0 fe80:0000:0000:0000:00aa:00ff:fe00:0000 net1 IB/RoCE v1
gid mlx5_5 1 1 fe80:0000:0000:0000:00aa:00ff:fe00:0000 net1 RoCE v2
gid mlx5_5 1 2 0000:0000:0000:0000:0000:ffff:c0a8:000b net1 IB/RoCE v1
gid mlx5_5 1 3 0000:0000:0000:0000:0000:ffff:c0a8:000b net1 RoCE v2
gid mlx5_6 2 5 fd00:0001:0000:0000:0000:0000:0000:000b net2 RoCE v2
gid mlx5_7 1 0 0000:0000:0000:0000:0000:ffff:c0a8:020b net3 IB/RoCE v1
`);

t.test("gidFor() takes the RoCE v2 GID of the link's own address", async (t) => {
  t.same(gidFor(SURVEY, "net1", addressOn(SURVEY, "net1")!), { device: "mlx5_5", port: 1, index: 3 });
  t.same(gidFor(SURVEY, "net2", addressOn(SURVEY, "net2")!), { device: "mlx5_6", port: 2, index: 5 }, "IPv6");
  t.equal(gidFor(SURVEY, "net4", addressOn(SURVEY, "net4")!), undefined, "no RDMA device");
  t.throws(() => gidFor(SURVEY, "net3", "192.168.2.11"), {
    message: "no RoCE v2 GID of 192.168.2.11 for net3; it has mlx5_7 0: 192.168.2.11 IB/RoCE v1",
  });
});

t.test("parseSurvey() knows programs and addresses, without those of the link alone", async (t) => {
  t.same(SURVEY.programs, ["ip", "ib_write_bw"]);
  t.equal(addressOn(SURVEY, "net1"), "192.168.0.11");
  t.equal(addressOn(SURVEY, "eth0"), "10.42.1.7");
  t.equal(addressOn(SURVEY, "lo"), undefined);
});

const podWith = (status: object[]) => ({
  metadata: { annotations: { "k8s.v1.cni.cncf.io/network-status": JSON.stringify(status) } },
});
t.test("railsIn() names a rail by its network, and leaves the cluster's own out", async (t) => {
  const status = [
    { name: "cilium", interface: "eth0", default: true },
    { name: "default/rail0", interface: "net1" },
    { name: "perf/rail1", interface: "net7" },
  ];
  t.same([...railsIn(podWith(status), "pod p/a")], [["rail0", "net1"], ["rail1", "net7"]]); // biome-ignore format: pairs
  t.same([...railsIn({ metadata: {} }, "pod p/a")], []);
  t.throws(() => railsIn(podWith([status[1]!, status[1]!]), "pod p/a"), {
    message: "cannot tell the rails of pod p/a apart: two links on network rail0",
  });
});

t.test("parsePods() takes two pods, of the namespace default where none is named", async (t) => {
  t.same(parsePods("perf/a,b"), [
    { namespace: "perf", name: "a" },
    { namespace: "default", name: "b" },
  ]);
  for (const bad of ["a", "a,b,c", "a,,", "x/y/z,b"]) t.throws(() => parsePods(bad), { message: /EINVAL/ }, bad);
});

for (const { args, message } of [
  { args: ["--min-gbps", "fast"], message: /--min-gbps fast: a positive number/ },
  { args: ["--min-gbps", "0"], message: /--min-gbps 0: a positive number/ },
  { args: ["--max-pod-loss", "5", "--pods", "a,b"], message: /--max-pod-loss without --hosts/ },
  { args: ["--hosts", "a,b"], message: /--hosts without --pods/ },
  { args: ["--hosts", "a,b", "--pods", "c,d"], message: /need each other/ },
  { args: ["--bandwidth=-n 5; reboot"], message: /--bandwidth .*: only letters/ },
  { args: ["--fast"], message: /--fast/ },
])
  t.test(`parseOptions() refuses ${args.join(" ")}`, async (t) => t.throws(() => parseOptions(args), { message }));

t.test("--help names every option, and its defaults are those that apply", async (t) => {
  t.equal(parseOptions(["--help"]), undefined);
  const [machines, hardware] = [parseOptions([])!, parseOptions(["--pods", "a,b"])!];
  for (const args of [machines.runs.bandwidth, machines.runs.latency, hardware.runs.bandwidth, hardware.runs.latency])
    t.ok(USAGE.includes(`"${args}"`), args);
  for (const option of ["--pods", "--hosts", "--host-rails", "--rails", "--bandwidth", "--latency", "--at-once"])
    t.match(USAGE, option);
  for (const option of ["--limit", "--min-gbps", "--max-pod-loss", "--allow-tcp"]) t.match(USAGE, option);
});

import { readFileSync } from "node:fs";
import t from "tap";
import { until } from "../../lab/until.ts";
import { FakePods } from "./support/pods.ts";

t.setTimeout(900_000);

interface Test {
  testdir(): string;
  teardown(fn: () => void): void;
}

function podsFor(t: Test): FakePods {
  const pods = new FakePods(t.testdir());
  t.teardown(() => pods[Symbol.dispose]());
  return pods;
}

/** An RDMA device on each rail of both pods: a_0, a_1, b_0, b_1. */
function podsWithRdma(t: Test): FakePods {
  const pods = podsFor(t);
  for (const rail of [0, 1]) {
    pods.addDevice("a", { name: `a_${rail}`, link: `net${rail + 1}`, address: `192.168.${rail}.11` });
    pods.addDevice("b", { name: `b_${rail}`, link: `net${rail + 1}`, address: `192.168.${rail}.12` });
  }
  return pods;
}

const rows = ({ json }: FakePods) => JSON.parse(readFileSync(json, "utf8")).rows as object[];

t.test("two pods: every rail both ways, by the GID of its own address, and the rows of it", async (t) => {
  const pods = podsWithRdma(t);
  const { exit, stdout, stderr } = await pods.run("--min-gbps", "190");
  t.equal(exit, 0, stderr);
  t.match(stdout, /^rail0 +- +196\.4 +- +1\.81 +2\.05 +4096 {2}ok$/m);
  t.match(stdout, /^rail1 +- +196\.4 +- +1\.81 +2\.05 +4096 {2}ok$/m);
  t.match(rows(pods), [
    { case: "rail0/bandwidth", railnet: 196.4, peer: null, unit: "Gb/s", transport: "rdma", kept: true },
    { case: "rail0/latency-typical", railnet: 1.81, unit: "µs" },
    { case: "rail0/latency-p99", railnet: 2.05, unit: "µs" },
    { case: "rail1/bandwidth", kept: true },
    {},
    {},
  ]);
  const calls = pods.calls();
  const bandwidth = (end: string, rail: number, to = "") =>
    `ib_write_bw -F -d ${end}_${rail} -i 1 -x 3 -p ${18515 + rail} --report_gbits -D 10 -q 4${to}`;
  t.same(
    calls.filter((call) => call.startsWith("ib_write_bw") && call.includes("_1 ")),
    [bandwidth("b", 1), bandwidth("a", 1, " 192.168.1.12"), bandwidth("a", 1), bandwidth("b", 1, " 192.168.1.11")],
    "server first, then client; then the other way",
  );
  t.equal(pods.processes(), "");
});

t.test("a rail that is slow in one direction fails the gate, and is named with it", async (t) => {
  const pods = podsWithRdma(t);
  pods.setRate("b_1", "97.15");
  const { exit, stdout, stderr } = await pods.run("--min-gbps=190", "--rails=rail1");
  t.equal(exit, 1);
  t.match(stdout, /^rail1 .*FAILED pod: 97\.15 Gb\/s < 190 Gb\/s \(pod default\/b → pod default\/a\)/m);
  t.match(stderr, /FAILED: rail1\n$/);
});

t.test("--max-pod-loss holds the pods against pods in their hosts' network", async (t) => {
  const pods = podsWithRdma(t);
  const host = ["--hosts", "default/a,default/b", "--host-rails", "rail0=net1,rail1=net2"];
  const { exit, stdout } = await pods.run(...host, "--rails=rail0", "--max-pod-loss", "2", "--at-once");
  t.equal(exit, 0);
  t.match(stdout, /^rail0 +196\.4 +196\.4 +0\.0 +196\.4 +1\.81/m);
  const unknown = await pods.run(...host, "--rails", "rail0,rail7");
  t.match(unknown, { exit: 2, stderr: /cannot measure rail7: the rails of the hosts are rail0, rail1/ });
});

t.test("a server that fails ends its client, and its words are the reason", async (t) => {
  const pods = podsWithRdma(t);
  pods.setRate("a_0", "fail");
  const { exit, stdout } = await pods.run();
  t.equal(exit, 1, "a rail without a figure fails without any gate");
  t.match(stdout, /^rail0 .*FAILED pod: server on pod default\/b: Couldn't connect to the QP \(exit 1\)$/m);
  t.match(stdout, /^rail1 .*ok$/m, "the next rail is measured all the same");
  t.equal(pods.processes(), "");
});

t.test("output that is not perftest's is an error, never a zero", async (t) => {
  const pods = podsWithRdma(t);
  pods.setRate("a_0", "0.00");
  pods.setRate("a_1", "fast");
  const { exit, stdout } = await pods.run();
  t.equal(exit, 1);
  t.match(stdout, /^rail0 +- +- .*FAILED pod: cannot read perftest's output: it says that nothing was moved/m);
  t.match(stdout, /^rail1 +- +- .*FAILED pod: cannot read perftest's output: "fast" is not a number/m);
});

t.test("a run that does not end is ended at its limit, at both ends", async (t) => {
  const pods = podsWithRdma(t);
  pods.setRate("a_0", "hang");
  const { exit, stdout } = await pods.run("--rails", "rail0", "--limit", "10");
  t.equal(exit, 1);
  t.match(stdout, /FAILED pod: cannot run a command in pod default\/[ab]: no end within 10000 ms \(ETIMEDOUT\)/);
  t.equal(pods.processes(), "");
});

for (const signal of ["SIGINT", "SIGTERM"] as const)
  t.test(`${signal} leaves no process at either end`, async (t) => {
    const pods = podsWithRdma(t);
    pods.setRate("a_0", "hang");
    const { bench, outcome } = pods.start([]);
    await until("server and client", () => pods.calls().length === 2);
    t.not(pods.processes(), "");
    bench.kill(signal);
    t.match(await outcome, { exit: 130, stdout: "", stderr: /interrupted: nothing is left running/ });
    t.equal(pods.processes(), "");
  });

t.test("kill -9 leaves no process at either end either", async (t) => {
  const pods = podsWithRdma(t);
  pods.setRate("a_0", "hang");
  const { bench, outcome } = pods.start([]);
  await until("server and client", () => pods.calls().length === 2);
  bench.kill("SIGKILL");
  await outcome;
  await until("the end of all", () => pods.processes() === "");
});

t.test("TCP stands in without RDMA device, is marked, and meets no gate unless it may", async (t) => {
  const pods = podsFor(t);
  const { exit, stdout } = await pods.run("--rails", "rail0");
  t.equal(exit, 0, stdout);
  t.match(stdout, /^rail0 +- +[\d.]+ TCP +- +- +- +- {2}pod: TCP, no RDMA device$/m);
  const [row, ...others] = rows(pods);
  t.match(row, { case: "rail0/tcp-bandwidth", transport: "tcp", peer: null });
  t.ok((row as { railnet: number }).railnet > 0);
  t.same(others, []);
  pods.addDevice("a", { name: "a_0", link: "net1", address: "192.168.0.11" });
  const gated = await pods.run("--rails", "rail0", "--min-gbps", "0.000001");
  t.match(gated, { exit: 1, stdout: /FAILED pod: no RDMA device \(TCP [\d.]+ Gb\/s\)/, stderr: /FAILED: rail0/ });
  t.match(await pods.run("--rails", "rail0", "--min-gbps", "0.000001", "--allow-tcp"), { exit: 0 });
});

t.test("what a pod lacks is named: a program, an address, the GID, a rail", async (t) => {
  const pods = podsWithRdma(t);
  pods.removeProgram("ib_write_lat");
  pods.setNetworks("b", ["rail0"]);
  const { exit, stdout } = await pods.run();
  t.equal(exit, 1);
  t.match(stdout, /^rail0 .*FAILED pod: pod default\/a has no ib_write_lat: install perftest$/m);
  t.match(stdout, /^rail1 .*FAILED pod: pod default\/b does not have this rail$/m);
  pods.setNetworks("a", ["rail0", "rail1", "rail2"]);
  pods.setNetworks("b", ["rail0", "rail1", "rail2"]);
  pods.addDevice("b", { name: "b_1", link: "net2", address: "192.168.1.99" });
  const again = await pods.run("--rails", "rail1,rail2");
  t.match(again.stdout, /^rail1 .*pod default\/b: no RoCE v2 GID of 192\.168\.1\.12 for net2; it has b_1 2: /m);
  t.match(again.stdout, /^rail2 .*pod default\/a has no address on net3: is it up\?$/m);
});

import { createHash } from "node:crypto";
import t from "tap";
import { FakeAgent, reply } from "./support/fake-agent.ts";
import { readError, readFull, Shim } from "./support/shim.ts";

const shim = new Shim({ addMs: 20_000, otherMs: 20_000, refusedMs: 300 });
t.setTimeout(600_000); // a busy machine
t.teardown(() => shim[Symbol.dispose]());

const MiB = 1 << 20;
const pattern = (length: number) => Buffer.alloc(length, "railnet wire pattern 0123456789\n");

t.test("shim sends its own name, the CNI_ variables in order, and stdin", async (t) => {
  await using agent = await FakeAgent.listen(shim.socket, (socket) => socket.end(reply(0, "{}")));
  const env = {
    HOME: "/root",
    CNI_COMMAND: "ADD",
    XCNI_A: "no",
    CNI_ARGS: "IgnoreUnknown=1;K8S_POD_NAME=a=b\nc",
    cni_b: "no",
    CNI_CONTAINERID: "größe\u0001",
    CNI_NETNS: "",
    CNI_: "bare",
  };
  const run = await shim.run({ env, stdin: '{"name":"n"}' });
  t.same([run.exit, run.stdout.toString(), run.stderr], [0, "{}", ""]);
  const [request] = agent.requests;
  t.match(request, { version: 1, name: "railnet-sriov" });
  t.equal(request?.stdin.toString(), '{"name":"n"}');
  t.same(
    request?.env.map((line) => Buffer.from(line, "latin1").toString()),
    Object.entries(env).flatMap(([key, value]) => (key.startsWith("CNI_") ? [`${key}=${value}`] : [])),
  );
});

t.test("shim sends the caller's trace, of which what is too long stays here and breaks no call", async (t) => {
  await using agent = await FakeAgent.listen(shim.socket, (socket) => socket.end(reply(0, "")));
  const traced = async (env: Record<string, string>) => {
    t.equal((await shim.run({ env })).exit, 0);
    return agent.requests.at(-1)?.env.map((line) => line.slice(0, 20));
  };
  const all = {
    TRACEPARENT: "00-1-2-01",
    CNI_COMMAND: "ADD",
    TRACESTATE: "",
    BAGGAGE: "a=b",
    TRACEPARENTS: "x",
    traceparent: "x",
    BAGGAG: "x",
  };
  t.same(await traced(all), ["TRACEPARENT=00-1-2-01".slice(0, 20), "CNI_COMMAND=ADD", "TRACESTATE=", "BAGGAGE=a=b"]);
  const long = {
    CNI_COMMAND: "ADD",
    TRACEPARENT: "x".repeat(8193),
    TRACESTATE: "x".repeat(8192),
    BAGGAGE: "x".repeat(100_000),
  };
  t.same(await traced(long), ["CNI_COMMAND=ADD", `TRACESTATE=${"x".repeat(9)}`]);
});

for (const name of ["railnet-sriov", "railnet-ipam", "sriov", "whereabouts", "rdma"])
  t.test(`shim called as ${name} says so to the agent and to the full binary`, async (t) => {
    const call = { name, env: { CNI_COMMAND: "VERSION" } };
    {
      await using agent = await FakeAgent.listen(shim.socket, (socket) => socket.end(reply(0, "")));
      await shim.run(call);
      t.equal(agent.requests[0]?.name, name);
    }
    t.same(readFull((await shim.run(call)).stdout)?.args, [name]);
  });

for (const { when, length, slow } of [
  { when: "is empty", length: 0 },
  { when: "is one byte", length: 1 },
  { when: "fills the first buffer exactly", length: 65_536 },
  { when: "is a byte longer than the first buffer", length: 65_537 },
  { when: "is 3 MB", length: 3_000_000 },
  { when: "is as long as may be, 16 MiB", length: 16 * MiB },
  { when: "comes in two parts, 500 ms apart", length: 1000, slow: { ms: 500, bytes: 500 } },
  { when: "comes byte by byte", length: 40, slow: { ms: 5, bytes: 1 } },
])
  t.test(`shim passes on stdin that ${when}`, async (t) => {
    const stdin = pattern(length);
    const call = { env: { CNI_COMMAND: "DEL" }, stdin, ...(slow && { slow }) };
    {
      await using agent = await FakeAgent.listen(shim.socket, (socket) => socket.end(reply(0, "")));
      t.equal((await shim.run(call)).exit, 0);
      t.ok(agent.requests[0]?.stdin.equals(stdin), "to the agent");
    }
    t.ok(readFull((await shim.run(call)).stdout)?.stdin.equals(stdin), "to the full binary");
  });

t.test("shim refuses stdin of a byte more than 16 MiB with code 6", async (t) => {
  await using agent = await FakeAgent.listen(shim.socket, (socket) => socket.end(reply(0, "")));
  const run = await shim.run({ env: { CNI_COMMAND: "ADD" }, stdin: pattern(16 * MiB + 1) });
  t.match(readError(run), { exit: 1, code: 6, msg: /longer than 16 MiB/ });
  t.equal(agent.requests.length, 0);
});

const large = (bytes: number) =>
  Object.fromEntries(Array.from({ length: Math.ceil(bytes / 100_000) }, (_, i) => [`CNI_${i}`, "x".repeat(100_000)]));

t.test("shim passes on 900 kB of variables, and refuses more than 1 MiB with code 4", async (t) => {
  await using agent = await FakeAgent.listen(shim.socket, (socket) => socket.end(reply(0, "")));
  t.equal((await shim.run({ env: { CNI_COMMAND: "ADD", ...large(900_000) } })).exit, 0);
  t.equal(agent.requests[0]?.env.length, 10);
  const run = await shim.run({ env: { CNI_COMMAND: "ADD", ...large(1_100_000) } });
  t.match(readError(run), { exit: 1, code: 4, msg: /exceed 1 MiB/ });
  t.equal(agent.requests.length, 1);
});

for (const { what, exit, stdout } of [
  { what: "a success", exit: 0, stdout: Buffer.from('{"cniVersion":"1.1.0"}') },
  { what: "a success without a word", exit: 0, stdout: Buffer.alloc(0) },
  { what: "an error", exit: 1, stdout: Buffer.from('{"code":7}') },
  { what: "the greatest exit status", exit: 255, stdout: Buffer.from("x") },
  { what: "bytes that are no text", exit: 0, stdout: Buffer.from([0, 255, 10, 0]) },
  { what: "3 MB", exit: 0, stdout: pattern(3_000_000) },
  { what: "as much as may be, 16 MiB", exit: 0, stdout: pattern(16 * MiB) },
])
  t.test(`shim hands back ${what}`, async (t) => {
    await using _agent = await FakeAgent.listen(shim.socket, (socket) => socket.end(reply(exit, stdout)));
    const run = await shim.run({ env: { CNI_COMMAND: "ADD" } });
    t.equal(run.exit, exit);
    t.ok(run.stdout.equals(stdout));
    t.equal(run.stderr, "");
  });

t.test("shim puts a reply together that comes byte by byte", async (t) => {
  await using _agent = await FakeAgent.listen(shim.socket, async (socket) => {
    for (const byte of reply(3, "fragments")) {
      socket.write(Buffer.of(byte));
      await new Promise((done) => setTimeout(done, 5));
    }
  });
  const run = await shim.run({ env: { CNI_COMMAND: "ADD" } });
  t.same([run.exit, run.stdout.toString()], [3, "fragments"]);
});

t.test("shim ends at the end of the reply, not of the connection, and reads nothing behind it", async (t) => {
  await using _agent = await FakeAgent.listen(shim.socket, (socket) => {
    socket.write(Buffer.concat([reply(0, "reply"), Buffer.from("and more")]));
  });
  const run = await shim.run({ env: { CNI_COMMAND: "ADD" } });
  t.same([run.exit, run.stdout.toString()], [0, "reply"]);
});

t.test("shim takes a reply from an agent that closes before it has read the request", async (t) => {
  await using agent = await FakeAgent.listen(shim.socket, () => {});
  agent.onConnection((socket) => socket.write(reply(1, "too much"), () => socket.destroy()));
  const run = await shim.run({ env: { CNI_COMMAND: "ADD" }, stdin: pattern(8 * MiB) });
  t.same([run.exit, run.stdout.toString()], [1, "too much"]);
});

t.test("shim prints a large reply whole into a slow pipe", async (t) => {
  await using _agent = await FakeAgent.listen(shim.socket, (socket) => socket.end(reply(0, pattern(1_000_000))));
  const shell = '"$SHIM" | { sleep 0.3; md5sum; }';
  const run = await shim.run({ env: { CNI_COMMAND: "ADD" }, shell });
  t.equal(run.stdout.toString().slice(0, 32), createHash("md5").update(pattern(1_000_000)).digest("hex"));
});

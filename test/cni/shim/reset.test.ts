import { spawn } from "node:child_process";
import { renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import t from "tap";
import { FakeAgent, reply } from "./support/fake-agent.ts";
import { readError, readFull, Shim } from "./support/shim.ts";

const shim = new Shim({ addMs: 20_000, otherMs: 20_000, refusedMs: 10_000 });
const call = (verb: string) => ({ env: { CNI_COMMAND: verb, FULL_LOG: join(shim.dir, "full.log") }, stdin: "{}" });
t.setTimeout(600_000); // a busy machine
t.teardown(() => shim[Symbol.dispose]());
t.afterEach(() => rmSync(shim.socket, { force: true }));

/** An agent that stops with `connections` before it has read their requests: from its backlog, or after a few bytes. */
const LEAVER = `
import select, socket, sys, time
how, connections = sys.argv[2], int(sys.argv[3])
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(8)
print("up", flush=True)
for _ in range(connections):
    select.select([s], [], [])
    time.sleep(0.1) # for the request to be sent
    if how == "backlog": break
    c, _ = s.accept(); c.recv(5); c.close()
s.close()
print("down", flush=True)
`;

/** Settles when the agent listens; what it gives settles when the agent has gone. */
async function leaver(how: "backlog" | "half read", connections: number): Promise<{ gone: Promise<unknown> }> {
  const agent = spawn("python3", ["-c", LEAVER, shim.socket, how, `${connections}`]);
  const lines = createInterface({ input: agent.stdout })[Symbol.asyncIterator]();
  t.equal((await lines.next()).value, "up");
  return { gone: lines.next() };
}

for (const how of ["backlog", "half read"] as const)
  for (const verb of ["ADD", "DEL"])
    t.test(
      `shim asks the next agent for ${verb} when one stops with the request ${how}: it has begun nothing`,
      async (t) => {
        const old = await leaver(how, 1);
        const run = shim.run(call(verb));
        await old.gone;
        await using next = await FakeAgent.listen(`${shim.socket}.new`, (socket) => socket.end(reply(0, "next")));
        renameSync(`${shim.socket}.new`, shim.socket);
        t.match((await run).stdout.toString(), "next");
        t.equal(next.requests.length, 1);
        t.equal(next.requests[0]?.stdin.toString(), "{}");
      },
    );

t.test("shim answers ADD with code 11 when three agents in a row go without reading it", async (t) => {
  await leaver("half read", 3);
  t.match(readError(await shim.run(call("ADD"))), { code: 11, msg: /the agent went away without a reply/ });
});

t.test("shim becomes the full binary for DEL when three agents in a row go without reading it", async (t) => {
  await leaver("half read", 3);
  t.match(readFull((await shim.run(call("DEL"))).stdout), { args: ["railnet-sriov"] });
});

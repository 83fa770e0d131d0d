// What is asked again, and what never is: a write that may have been done.
import t from "tap";
import type { Request } from "../../kubernetes/caller.ts";
import { Caller } from "../../kubernetes/caller.ts";
import { PODS } from "../../kubernetes/cluster.ts";
import { Deadline } from "../../kubernetes/deadline.ts";
import { type Says, Server } from "./support/server.ts";

const OK: Says = { status: 200, body: "fine" };
const REFUSED: Says = { code: "ECONNREFUSED", wasSent: false };
const BROKEN: Says = { code: "ECONNRESET", wasSent: true };
const UNTRUSTED: Says = { code: "CERT_HAS_EXPIRED", wasSent: false };
const UNKNOWN: Says = { code: "ENOTFOUND", wasSent: false };
const UNAUTHORIZED: Says = { status: 401, body: "who are you" };
const BUSY: Says = { status: 429, headers: { "retry-after": "0.01" } };
const BUSY_LONG: Says = { status: 429, headers: { "retry-after": "60" } };

const request = (verb: Request["verb"], method = verb === "get" ? "GET" : "POST"): Request => ({
  verb,
  resource: PODS,
  name: "p",
  method,
  path: "/p",
  headers: { Accept: "all" },
});

for (const { says, verb = "get", want, asked, reads = [false] } of [
  { says: [OK], want: "200 fine", asked: 1 },
  { says: [{ status: 500, body: "no" }, OK], want: "500 no", asked: 1 },
  { says: [{ status: 503, body: "no" }, OK], verb: "create", want: "503 no", asked: 1 },
  { says: [UNAUTHORIZED, OK], verb: "create", want: "200 fine", asked: 2, reads: [false, true] },
  { says: [UNAUTHORIZED], want: "401 who are you", asked: 2, reads: [false, true] },
  { says: [BUSY, BUSY, OK], verb: "create", want: "200 fine", asked: 3 },
  { says: [BUSY_LONG, OK], want: "429 ", asked: 1 },
  { says: [REFUSED, REFUSED, OK], verb: "create", want: "200 fine", asked: 3, reads: [false] },
  { says: [REFUSED], verb: "create", want: "cannot create pods p at https://api: planted ECONNREFUSED", asked: 4 },
  { says: [BROKEN, OK], want: "200 fine", asked: 2 },
  { says: [BROKEN, BROKEN, OK], want: "cannot get pods p at https://api: planted ECONNRESET", asked: 2 },
  { says: [BROKEN, OK], verb: "create", want: "cannot create pods p at https://api: planted ECONNRESET; it may have been done nevertheless", asked: 1 },
  { says: [UNKNOWN, OK], want: "cannot get pods p at https://api: planted ENOTFOUND", asked: 1 },
  { says: [UNTRUSTED, OK], verb: "create", want: "200 fine", asked: 2, reads: [false, true] },
  { says: [UNTRUSTED], verb: "create", want: "cannot create pods p at https://api: planted CERT_HAS_EXPIRED; its certificate has expired, or this node's clock is ahead", asked: 2, reads: [false, true] },
  { says: [UNAUTHORIZED, UNTRUSTED], want: "cannot get pods p at https://api: planted CERT_HAS_EXPIRED; its certificate has expired, or this node's clock is ahead", asked: 2, reads: [false, true] },
] as { says: Says[]; verb?: Request["verb"]; want: string; asked: number; reads?: boolean[] }[]) // biome-ignore format: rows
  t.test(`Caller.call(): a ${verb} that is answered with ${says.map(words).join(", ")}`, async (t) => {
    const server = new Server(...says);
    const outcome = await server
      .caller()
      .call(request(verb), undefined)
      .then(({ status, body }) => `${status} ${body}`, ({ message }) => message); // biome-ignore format: a row
    t.equal(outcome, want);
    t.equal(server.asked.length, asked);
    t.same(server.reads, reads, "when credentials are read again");
    t.equal(server.counted.length, asked, "each attempt is counted");
  });

function words(says: Says): string {
  return says === "silence" ? says : "code" in says ? says.code : `${says.status}`;
}

t.test("Caller.call() counts attempts by what they came to, and sends the credentials with them", async (t) => {
  const server = new Server(REFUSED, OK);
  await server.caller().call({ ...request("create"), body: "{}" }, undefined);
  t.same(server.counted, ["create pods 0", "create pods 200"]);
  t.match(server.requests[1], { method: "POST", path: "/p", body: "{}", headers: { Accept: "all", Authorization: "Bearer 1" } });
  await server.caller().call(request("get"), undefined);
  t.notOk("body" in server.requests[2]!);
}); // biome-ignore format: rows

t.test("Caller.call() ends at its time, and says whether the request may have been done", async (t) => {
  for (const [verb, isUnclear] of [["create", true], ["get", false]] as const) {
    const server = new Server("silence");
    await t.rejects(server.caller({ timeLimitMs: 30 }).call(request(verb), undefined), {
      name: "ApiError",
      message: new RegExp(`^cannot ${verb} pods p at https://api: no answer within 30 ms`),
      isUnclear,
    });
  }
}); // biome-ignore format: rows

t.test("Caller.call() ends when its caller gives up, before or after it was sent", async (t) => {
  const server = new Server("silence");
  const gone = new AbortController();
  const asked = server.caller().call(request("create"), gone.signal);
  setImmediate(() => gone.abort());
  await t.rejects(asked, { message: /: the caller gave up; it may have been done/, isUnclear: true });
  await t.rejects(server.caller().call(request("create"), gone.signal), { message: /the caller gave up$/, isUnclear: false });
  t.equal(server.asked.length, 1, "who gave up before asks nothing");
}); // biome-ignore format: rows

t.test("Caller.call() has no more requests under way than it has connections", async (t) => {
  let [now, most] = [0, 0];
  const server = new Server(OK);
  const session = server.session();
  const open = await session.open();
  const slow: typeof open.send = async (request) => {
    most = Math.max(most, ++now);
    await new Promise((resolve) => setTimeout(resolve, 5));
    now--;
    return open.send(request);
  };
  const caller = new Caller({ server: "", open: async () => ({ ...open, send: slow }) } as never, { connections: 2 });
  await Promise.all([1, 2, 3, 4, 5].map(() => caller.call(request("get"), undefined)));
  t.equal(most, 2);
  t.equal(now, 0);
});

t.test("Caller.stream(): the time limit ends with the beginning of the answer", async (t) => {
  const server = new Server({ status: 200, body: "piece" });
  const { pieces } = await server.caller({ timeLimitMs: 20 }).stream(request("watch", "GET"), new AbortController().signal);
  await new Promise((resolve) => setTimeout(resolve, 40));
  t.equal(server.requests[0]!.signal.aborted, false, "time is over, and it goes on");
  t.equal(Buffer.concat(await Array.fromAsync(pieces())).toString(), "piece");
  const slow = new Server("silence").caller({ timeLimitMs: 20 });
  await t.rejects(slow.stream(request("watch", "GET"), new AbortController().signal), { message: /no answer within 20 ms/ });
  const breaking = new Server({ status: 200, body: "piece", headers: { end: "breaks" } }).caller();
  const answer = await breaking.stream(request("watch", "GET"), new AbortController().signal);
  await t.rejects(Array.fromAsync(answer.pieces()), { name: "ApiError", message: "cannot watch pods p at https://api: planted ECONNRESET" });
}); // biome-ignore format: rows

t.test("Session reads access again once for all whose credentials were refused", async (t) => {
  const server = new Server(OK);
  const session = server.session();
  t.equal(session.server, "the API server");
  const [first, same] = await Promise.all([session.open(), session.open()]);
  t.equal(first, same);
  t.equal(await session.open(), first, "it is kept");
  server.access = { ...server.access, headers: { Authorization: "Bearer 2" } };
  const [second, third] = await Promise.all([session.open(first), session.open(first)]);
  t.same(server.reads, [false, true]);
  t.equal(second, third);
  t.equal(second!.access.headers["Authorization"], "Bearer 2");
  t.equal(await session.open(first), second, "it has been read again already");
  t.equal(server.opened, 1, "the connections stay where only the token is another one");
  server.access = { ...server.access, server: "https://other" };
  await session.open(second);
  t.equal(server.opened, 2, "another server");
  t.equal(session.server, "https://other");
  server.failsToRead = true;
  await t.rejects(session.open(await session.open()), { message: "half a file" });
});

t.test("Session keeps what it read last while a file is being replaced", async (t) => {
  const server = new Server(OK);
  const session = server.session();
  const first = await session.open();
  const real = performance.now.bind(performance);
  performance.now = () => real() + 61_000;
  t.teardown(() => delete (performance as { now?: unknown }).now);
  server.failsToRead = true;
  t.equal(await session.open(), first);
  t.equal(server.reads.length, 2, "it was tried");
  t.equal(await session.open(), first);
  t.equal(server.reads.length, 2, "and not again for a minute");
});

t.test("Deadline.wait() waits only where time is left afterwards, and ends with its caller", async (t) => {
  using deadline = new Deadline(50, undefined);
  t.equal(await deadline.wait(1), true);
  t.equal(await deadline.wait(60), false);
  const gone = new AbortController();
  using other = new Deadline(10_000, gone.signal);
  const waiting = other.wait(5_000);
  gone.abort();
  await t.rejects(waiting, { name: "AbortError" });
  t.equal(other.why, "the caller gave up");
  using late = new Deadline(10_000, gone.signal);
  t.equal(late.signal.aborted, true);
  deadline.lift();
  await new Promise((resolve) => setTimeout(resolve, 60));
  t.equal(deadline.signal.aborted, false);
});

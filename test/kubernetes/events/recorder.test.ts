import t from "tap";
import { Notes } from "../../../daemonset/notes.ts";
import { ApiError, type Cluster, PODS } from "../../../kubernetes/cluster.ts";
import type { EventRequest, KubeEvent } from "../../../kubernetes/events/kube-event.ts";
import { EventRecorder, type RecorderOptions } from "../../../kubernetes/events/recorder.ts";
import { until } from "../../../lab/until.ts";

const silent = { debug() {}, info() {}, warn() {} };

/** An API server that keeps events, as far as a recorder talks to it. */
class Server {
  readonly events = new Map<string, KubeEvent>();
  readonly uids = new Map<string, string>();
  writes = 0;
  fails: ApiError | undefined;

  readonly cluster = {
    create: async (_: unknown, event: KubeEvent) => {
      this.#write();
      this.events.set(event.metadata.name, event);
      return event;
    },
    mergePatch: async (_: unknown, name: string, patch: Partial<KubeEvent>) => {
      this.#write();
      const event = this.events.get(name);
      if (!event) throw new ApiError("gone", { status: 404 });
      this.events.set(name, { ...event, ...patch });
    },
    get: async (_: unknown, name: string) => {
      const uid = this.uids.get(name);
      return uid ? { metadata: { name, uid } } : undefined;
    },
  } as unknown as Cluster;

  all(): KubeEvent[] {
    return [...this.events.values()];
  }

  #write(): void {
    this.writes++;
    if (this.fails) throw this.fails;
  }
}

const quick = { sameMs: 20, pauseMs: 20, perMinute: 1000 };
const start = (server: Server, options: Partial<RecorderOptions> = {}) => {
  const recorder = new EventRecorder({ log: silent, notes: new Notes(), ...quick, ...options });
  recorder.connect(server.cluster, "node-a");
  t.teardown(() => recorder.stop());
  return recorder;
};
const failed = (pod: string, message = "no VF", more: Partial<EventRequest> = {}): EventRequest => ({
  about: { resource: PODS, namespace: "default", name: pod, uid: `uid-${pod}` },
  type: "Warning",
  reason: "FailedRailAttach",
  message,
  ...more,
});
t.test("EventRecorder writes an event at its object, with the node it comes from", async (t) => {
  const server = new Server();
  start(server).record(failed("a", "two\nlines"));
  await until("recorded, at its own pace", () => server.events.size === 1);
  t.match(server.all()[0], {
    metadata: { namespace: "default", name: /^a\.[0-9a-f]{16}$/ },
    involvedObject: { apiVersion: "v1", kind: "Pod", namespace: "default", name: "a", uid: "uid-a" },
    type: "Warning",
    reason: "FailedRailAttach",
    message: "two lines",
    count: 1,
    source: { component: "railnet", host: "node-a" },
    firstTimestamp: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/,
  });
});

t.test("EventRecorder counts the same failure of the same pod up, whatever its message says now", async (t) => {
  const server = new Server();
  const recorder = start(server);
  for (let i = 1; i <= 5; i++) recorder.record(failed("a", `try ${i}`, { sameness: "net1 102" }));
  await until("recorded, at its own pace", () => server.all()[0]?.count === 5);
  recorder.record(failed("a", "try 6", { sameness: "net1 102" }));
  await until("recorded, at its own pace", () => server.all()[0]?.count === 6);
  t.equal(server.events.size, 1, "one object");
  t.equal(server.all()[0]!.message, "try 6");
  t.ok(server.writes <= 3, `${server.writes} writes`);
  recorder.record(failed("a", "other", { sameness: "net2 102" }));
  recorder.record(failed("b", "other pod", { sameness: "net1 102" }));
  await until("recorded, at its own pace", () => server.events.size === 3);
  t.same(
    server.all().map(({ count }) => count),
    [6, 1, 1],
  );
});

t.test("EventRecorder writes a new event when the old one has expired, and goes on counting", async (t) => {
  const server = new Server();
  const recorder = start(server);
  recorder.record(failed("a"));
  await until("recorded, at its own pace", () => server.events.size === 1);
  server.events.clear();
  recorder.record(failed("a"));
  await until("recorded, at its own pace", () => server.events.size === 1);
  t.equal(server.all()[0]!.count, 2);
});

t.test(
  "EventRecorder keeps what it cannot write, the same as one, and writes it when the server is back",
  async (t) => {
    const server = new Server();
    server.fails = new ApiError("cannot connect", { status: 0 });
    const recorder = start(server);
    for (let i = 0; i < 4; i++) recorder.record(failed("a"));
    await until("recorded, at its own pace", () => server.writes >= 2);
    t.match(recorder.counts, { sent: 0, dropped: 0, waiting: /[01]/ });
    server.fails = undefined;
    await until("recorded, at its own pace", () => server.events.size === 1);
    t.equal(server.all()[0]!.count, 4);
  },
);

t.test("EventRecorder drops and counts what waits too long, what does not fit, and what is refused", async (t) => {
  const server = new Server();
  server.fails = new ApiError("cannot connect", { status: 0 });
  const old = start(server, { queueAgeMs: 50 });
  for (let i = 0; i < 3; i++) old.record(failed("a"));
  await until("recorded, at its own pace", () => old.counts.dropped === 3);
  t.match(old.counts, { waiting: 0, sent: 0 });

  const full = start(server, { queueLength: 2 });
  for (const pod of ["a", "b", "c", "d", "a"]) full.record(failed(pod));
  t.equal(full.counts.dropped, 2);

  server.fails = new ApiError("forbidden", { status: 403 });
  const refused = start(server);
  refused.record(failed("a"));
  await until("recorded, at its own pace", () => refused.counts.dropped === 1);
});

t.test("EventRecorder does not write a thousand objects, and warnings go before the rest", async (t) => {
  const server = new Server();
  const begin = performance.now();
  const recorder = start(server, { perMinute: 20 });
  for (let i = 0; i < 99; i++) recorder.record(failed(`p${i}`, "freed", { type: "Normal" }));
  recorder.record(failed("x"));
  await until("recorded, at its own pace", () => server.events.size >= 11); // ten at once, then it waits: one in three seconds
  const most = 10 + Math.floor((performance.now() - begin) / 3000);
  t.ok(server.events.size <= most, `${server.events.size} of at most ${most}`);
  t.equal(server.all()[0]!.involvedObject.name, "x");
});

t.test("EventRecorder asks for the UID of a pod whose runtime does not say it", async (t) => {
  const server = new Server();
  server.uids.set("a", "uid-1");
  const recorder = start(server);
  for (const name of ["a", "gone"])
    recorder.record({ ...failed(name), about: { resource: PODS, namespace: "default", name } });
  await until("recorded, at its own pace", () => server.events.size === 2);
  t.same(
    server.all().map(({ involvedObject: { uid } }) => uid),
    ["uid-1", undefined],
  );
});

t.test(
  "EventRecorder without a cluster keeps a bounded number, and what happened before it knew one is written",
  async (t) => {
    const recorder = new EventRecorder({ log: silent, notes: new Notes(), ...quick, queueLength: 3 });
    for (let i = 0; i < 5; i++) recorder.record(failed(`p${i}`));
    t.match(recorder.counts, { waiting: 3, dropped: 2 });
    const server = new Server();
    recorder.connect(server.cluster, "node-a");
    await until("recorded, at its own pace", () => server.events.size === 3);
    recorder.stop();
  },
);

for (const status of [0, 429, 500, 503])
  t.test(`EventRecorder writes again what was answered with ${status || "nothing"}`, async (t) => {
    const server = new Server();
    server.fails = new ApiError("not now", { status });
    const recorder = start(server);
    recorder.record(failed("a"));
    await until("recorded, at its own pace", () => server.writes > 1);
    server.fails = undefined;
    await until("recorded, at its own pace", () => server.all().length === 1);
    t.equal(recorder.counts.dropped, 0);
  });

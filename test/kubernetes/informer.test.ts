import t from "tap";
import { ApiError, type Cluster, type KubeObject, RESERVATIONS, type WatchEvent } from "../../kubernetes/cluster.ts";
import { Informer, type InformerOptions } from "../../kubernetes/informer.ts";
import { until } from "../../lab/until.ts";

type Event = WatchEvent<KubeObject>;

/** A server that says what a test wants it to say, and notes what it is asked. */
class Stage {
  readonly asked: string[] = [];
  objects = new Map<string, KubeObject>();
  version = 100;
  fails: ApiError | undefined;
  #say: ((event: Event | Error | "end") => void) | undefined;

  put(name: string, version = ++this.version, uid = name): KubeObject {
    const object = { metadata: { name, uid, resourceVersion: `${version}` } };
    this.objects.set(name, object);
    return object;
  }

  say(event: Event | Error | "end"): void {
    this.#say?.(event);
  }

  readonly cluster = {
    list: async (_: unknown, { fieldSelector = "" }: { fieldSelector?: string }) => {
      this.asked.push(fieldSelector ? "version" : "list");
      if (this.fails) throw this.fails;
      return { items: fieldSelector ? [] : [...this.objects.values()], resourceVersion: `${this.version}` };
    },
    watch: (_: unknown, { resourceVersion, signal }: { resourceVersion: string; signal: AbortSignal }) => {
      this.asked.push(`watch ${resourceVersion}`);
      const waiting: (Event | Error | "end")[] = [];
      let wake = () => {};
      this.#say = (event) => {
        waiting.push(event);
        wake();
      };
      signal.addEventListener("abort", () => this.#say?.("end"));
      return (async function* () {
        for (;;) {
          const next = waiting.shift();
          if (next === "end") return;
          if (next instanceof Error) throw next;
          if (next) yield next;
          else await new Promise<void>((resolve) => (wake = resolve));
        }
      })();
    },
  } as unknown as Cluster;

  follow(options: Partial<InformerOptions<KubeObject>> = {}) {
    const told: string[] = [];
    const ending = new AbortController();
    const informer = Informer.start(this.cluster, RESERVATIONS, {
      signal: ending.signal,
      spreadMs: () => 1,
      onChange: (change, { metadata: { name, resourceVersion } }) => told.push(`${change} ${name} ${resourceVersion}`),
      onRestored: (was, is) => told.push(`restored ${was} ${is}`),
      onError: ({ message }) => told.push(message),
      ...options,
    });
    return { informer, told, end: () => ending.abort() };
  }
}

const bookmark = (version: number): Event => ({
  type: "BOOKMARK",
  object: { metadata: { name: "", resourceVersion: `${version}` } },
});
const LOST = new ApiError("connection reset");

t.test(
  "an informer gives a watch up that says nothing, asks where the server is, and goes on where it was",
  async (t) => {
    const stage = new Stage();
    const { told, end } = stage.follow({ silentMs: 40 });
    t.teardown(end);
    await until("four requests", () => stage.asked.length >= 4);
    t.same(stage.asked.slice(0, 4), ["list", "watch 100", "version", "watch 100"]);
    t.equal(told[0], "the watch of overlappingrangeipreservations said nothing for 0.04 s");
  },
);

t.test("an informer keeps a watch that says bookmarks", async (t) => {
  const stage = new Stage();
  const { end } = stage.follow({ silentMs: 400 });
  t.teardown(end);
  await until("two requests", () => stage.asked.length === 2);
  for (let i = 0; i < 10; i++) {
    await new Promise((resolve) => setTimeout(resolve, 60));
    stage.say(bookmark(101 + i));
  }
  t.same(stage.asked, ["list", "watch 100"]);
  stage.version = 110;
  stage.say(LOST);
  await until("four requests", () => stage.asked.length === 4);
  t.same(stage.asked.slice(2), ["version", "watch 110"], "and goes on behind the last of them");
});

for (const [how, end] of [
  ["breaks", LOST],
  ["is ended before its time", "end"],
] as const)
  t.test(
    `an informer whose watch ${how} sees that the server was restored, and says so before the differences`,
    async (t) => {
      const stage = new Stage();
      stage.put("kept", 90);
      stage.put("same-version", 91);
      stage.put("lost", 100);
      const { told, informer, end: stop } = stage.follow();
      t.teardown(stop);
      await until("two requests", () => stage.asked.length === 2);
      told.length = 0;
      stage.objects.delete("lost");
      stage.version = 95;
      stage.say(end);
      await until("five requests", () => stage.asked.length === 5);
      t.same(stage.asked.slice(2), ["version", "list", "watch 95"]);
      t.same(
        told.filter((text) => text !== LOST.message),
        ["restored 100 95", "MODIFIED kept 90", "MODIFIED same-version 91", "DELETED lost 100"],
      );
      t.same([...informer.objects.keys()], ["kept", "same-version"]);
    },
  );

t.test("an informer that cannot reach the server after a lost connection lists nothing again", async (t) => {
  const stage = new Stage();
  const { told, end } = stage.follow();
  t.teardown(end);
  await until("two requests", () => stage.asked.length === 2);
  stage.fails = new ApiError("cannot reach", { status: 503 });
  stage.say(LOST);
  await until("two refusals", () => told.filter((text) => text === "cannot reach").length >= 2);
  stage.fails = undefined;
  await until("a watch", () => stage.asked.at(-1) === "watch 100");
  t.notOk(stage.asked.slice(1).includes("list"));
});

t.test("an informer that was answered after an outage does not wait long for its next attempt", async (t) => {
  const stage = new Stage();
  const { told, end } = stage.follow();
  t.teardown(end);
  await until("two requests", () => stage.asked.length === 2);
  stage.fails = new ApiError("no answer", { status: 503 });
  stage.say(LOST);
  await until("two looks at the version", () => stage.asked.filter((what) => what === "version").length === 2);
  stage.fails = undefined;
  await until("a watch", () => stage.asked.filter((what) => what.startsWith("watch")).length === 2);
  stage.say(new ApiError("too old", { status: 410 }));
  const beganMs = performance.now();
  await until("a list", () => stage.asked.filter((what) => what === "list").length === 2);
  t.ok(performance.now() - beganMs < 400, "it would be seconds, after so many failures");
  t.ok(told.includes("no answer"));
});

t.test("an informer compares versions as numbers of any length", async (t) => {
  for (const [was, is, isRestored] of [[99, 100, false], [100, 99, true], [1000, 999, true], [9, 10, false]] as const) {
    const stage = new Stage();
    stage.version = was;
    const { told, end } = stage.follow();
    await until("two requests", () => stage.asked.length === 2);
    stage.version = is;
    stage.say(LOST);
    await until("a second watch", () => stage.asked.some((text, i) => i > 2 && text.startsWith("watch")));
    t.equal(told.some((text) => text.startsWith("restored")), isRestored, `${was} then ${is}`);
    end();
  }
}); // biome-ignore format: rows

t.test("an informer with relistMs lists again when a watch has ended and the picture is old", async (t) => {
  const stage = new Stage();
  const { told, end } = stage.follow({ relistMs: 1 });
  t.teardown(end);
  await until("two requests", () => stage.asked.length === 2);
  stage.put("missed", 99); // no watch told of it
  stage.say(LOST);
  await until("more requests", () => told.includes("ADDED missed 99"));
  t.same(stage.asked.slice(2, 4), ["version", "list"]);
});

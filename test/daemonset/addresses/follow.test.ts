import t from "tap";
import { follow } from "../../../daemonset/addresses/follow.ts";
import { Refusals } from "../../../daemonset/addresses/refusals.ts";
import { ApiError, type Cluster, RESERVATIONS } from "../../../kubernetes/cluster.ts";
import { until } from "../../../lab/until.ts";

/** A server that refuses until it is told otherwise. */
function stage(status: number) {
  const lines: string[] = [];
  const server = { lists: 0, isGood: false };
  const say = (level: string) => (_: object, message: string) => void lines.push(`${level} ${message}`);
  const cluster = {
    list: async () => {
      server.lists++;
      if (!server.isGood) throw new ApiError("cannot list overlappingrangeipreservations: forbidden", { status });
      return { items: [], resourceVersion: "7" };
    },
    watch: async function* (_: unknown, { signal }: { signal: AbortSignal }) {
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
    },
  } as unknown as Cluster;
  const log = { debug: say("debug"), info: say("info"), warn: say("warn") };
  const ending = new AbortController();
  const refusals = new Refusals();
  const options = { signal: ending.signal, labelSelector: "a=b", spreadMs: () => 1 };
  const informer = follow({ cluster, log, refusals } as never, RESERVATIONS, options);
  return { lines, server, refusals, informer, end: () => ending.abort() };
}
t.test("follow() warns once of what the server refuses, shows it until it is over, and says that, too", async (t) => {
  const { lines, server, refusals, informer, end } = stage(403);
  t.teardown(end);
  await until("it lists again", () => server.lists >= 2);
  t.same(refusals.all(), ["cannot list overlappingrangeipreservations: forbidden"]);
  t.equal(lines.filter((line) => line.startsWith("warn")).length, 1);
  server.isGood = true;
  await informer.synced;
  t.same(refusals.all(), []);
  t.match(lines.at(-1), /^info the API server allows the watch again/);
});

t.test("follow() warns of no server that does not answer", async (t) => {
  const { lines, server, refusals, end } = stage(503);
  t.teardown(end);
  await until("it lists again", () => server.lists >= 2);
  t.same(refusals.all(), []);
  t.same(
    lines.filter((line) => line.startsWith("warn")),
    [],
  );
});

t.test("follow() shows nothing of what is no longer followed", async (t) => {
  const { refusals, server, end } = stage(403);
  await until("it lists", () => server.lists >= 1);
  end();
  await until("nothing is refused any more", () => refusals.all().length === 0);
  t.same(refusals.all(), []);
});

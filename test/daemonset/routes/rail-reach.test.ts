import t from "tap";
import { type RailReach, RailWatch } from "../../../daemonset/routes/rail-reach.ts";

const of = (rail: string, reached: number, nodes = 10): RailReach => ({ rail, reached, nodes });

/** What is told, second by second, when a rail reaches so many of 10 nodes from each second on. */
function told(reached: Readonly<Record<number, number>>, seconds: number): string[] {
  const watch = new RailWatch();
  return Array.from({ length: seconds }, (_, s) => s).flatMap((s) => {
    if (reached[s] !== undefined) watch.heard([of("a", reached[s]), of("b", 10)], s * 1000);
    return watch.changes(s * 1000).map(({ rail, reached, isLost }) => `${s} ${rail} ${reached} ${isLost ? "lost" : "back"}`);
  });
} // biome-ignore format: rows

for (const { when, reached, want } of [
  { when: "says nothing of rails that reach most nodes", reached: { 0: 10 }, want: [] },
  { when: "says nothing of an agent that starts", reached: { 0: 0, 3: 10 }, want: [] },
  { when: "tells of a rail that is lost from the start", reached: { 0: 0 }, want: ["10 a 0 lost"] },
  { when: "tells of a rail that is lost, once, and when it is back", reached: { 0: 10, 20: 0, 40: 10 }, want: ["30 a 0 lost", "50 a 10 back"] },
  { when: "says nothing of one peer that is gone", reached: { 0: 10, 20: 9 }, want: [] },
  { when: "says nothing of what lasts some seconds", reached: { 0: 10, 20: 0, 28: 10 }, want: [] },
  { when: "tells of a rail whose peers go one by one, once", reached: { 0: 10, 20: 6, 21: 4, 22: 3, 25: 0 }, want: ["31 a 0 lost"] },
  { when: "begins to wait anew when a rail flaps", reached: { 0: 10, 20: 0, 25: 10, 26: 0 }, want: ["36 a 0 lost"] },
]) // biome-ignore format: rows
  t.test(`RailWatch ${when}`, async (t) => t.same(told(reached, 60), want));

t.test("RailWatch forgets a rail that is none any more", async (t) => {
  const watch = new RailWatch();
  watch.heard([of("a", 0)], 0);
  t.equal(watch.changes(10_000).length, 1);
  t.equal(watch.isReaching("a"), false);
  watch.heard([], 11_000);
  t.equal(watch.isReaching("a"), undefined);
});

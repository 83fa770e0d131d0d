import assert from "node:assert/strict";
import t from "tap";
import {
  planRoutes,
  ROUTE_METRIC,
  ROUTE_PROTOCOL,
  type RouteChange,
  type WantedRoute,
} from "../../../daemonset/routes/plan.ts";
import type { RouteState } from "../../../kernel/route.ts";
import * as fc from "../../../lab/properties.ts";

const SRC = "10.99.0.1";
const MAIN = { table: 254, scope: 0, type: 1 };
const hop = (rail: number, peer = 2, weight = 1) => ({ index: rail, gateway: `10.${rail}.0.${peer}`, weight });

/** The kernel's table main: routes by destination and metric, a replace takes the place of whichever has both (ip-route(8)). */
class Kernel {
  routes: RouteState[];

  constructor(routes: readonly RouteState[]) {
    this.routes = [...routes];
  }

  apply({ do: verb, route: { dst, src, hops } }: RouteChange): void {
    const has = (r: RouteState) => r.dst === dst && r.priority === ROUTE_METRIC;
    if (verb === "delete") {
      const i = this.routes.findIndex((r) => has(r) && r.protocol === ROUTE_PROTOCOL);
      if (i < 0) throw new Error("ESRCH");
      this.routes.splice(i, 1);
      return;
    }
    const [only] = hops;
    const next = hops.length > 1 ? { hops } : { index: only!.index, gateway: only!.gateway };
    const route = { dst, src, priority: ROUTE_METRIC, protocol: ROUTE_PROTOCOL, ...MAIN, ...next };
    const i = this.routes.findIndex(has);
    if (i < 0) this.routes.push(route);
    else this.routes[i] = route;
  }
}

const destination = fc.integer({ min: 2, max: 6 }).map((n) => `10.99.0.${n}/32`);
const hops = fc
  .uniqueArray(fc.record({ rail: fc.integer({ min: 1, max: 4 }), peer: fc.integer({ min: 2, max: 3 }), weight: fc.integer({ min: 1, max: 3 }) }), { minLength: 1, maxLength: 4, selector: ({ rail, peer }) => `${rail} ${peer}` })
  .map((list) => list.map(({ rail, peer, weight }) => hop(rail, peer, weight))); // biome-ignore format: rows
const wanted = fc.uniqueArray(
  fc.record({ dst: destination, src: fc.constantFrom(SRC, "10.99.0.9"), hops }) satisfies fc.Arbitrary<WantedRoute>,
  { selector: ({ dst }) => dst },
);
const kernelRoute: fc.Arbitrary<RouteState> = fc
  .record({
    dst: destination,
    hops,
    src: fc.constantFrom(SRC, "10.99.0.9"),
    protocol: fc.constantFrom(ROUTE_PROTOCOL, 3, 4),
    priority: fc.constantFrom(ROUTE_METRIC, 0, 7),
  })
  .map(({ hops, priority, ...rest }) => ({ ...MAIN, ...rest, hops, ...(priority > 0 && { priority }) }));
const kernel = fc.uniqueArray(kernelRoute, { maxLength: 8, selector: ({ dst, priority }) => `${dst} ${priority}` });
const ours = ({ protocol, priority }: RouteState) => protocol === ROUTE_PROTOCOL && priority === ROUTE_METRIC;

t.test("planRoutes() leads to what is wanted, and leaves nothing to do", async () => {
  fc.assert(
    fc.property(wanted, kernel, (wanted, before) => {
      const model = new Kernel(before);
      const { changes, foreign } = planRoutes(wanted, before);
      for (const change of changes) model.apply(change);
      const taken = new Set(foreign.map(({ dst }) => dst));
      const dsts = model.routes.filter(ours).map(({ dst }) => dst);
      assert.deepEqual(dsts.sort(), wanted.map(({ dst }) => dst).filter((dst) => !taken.has(dst)).sort()); // biome-ignore format: one row
      assert.deepEqual(planRoutes(wanted, model.routes).changes, [], "the second time");
      assert.deepEqual(planRoutes(wanted, model.routes).foreign.length, foreign.length);
    }),
    { numRuns: 500 },
  );
});

t.test(
  "planRoutes() never touches a route of somebody else's, and none that is wanted and there is missed meanwhile",
  async () => {
    fc.assert(
      fc.property(wanted, kernel, (wanted, before) => {
        const model = new Kernel(before);
        const theirs = before.filter((route) => !ours(route));
        const { changes } = planRoutes(wanted, before);
        const has = (dst: string) => model.routes.some((route) => route.dst === dst);
        const always = wanted.map(({ dst }) => dst).filter(has);
        for (const change of changes) {
          model.apply(change);
          assert.deepEqual(model.routes.filter((route) => !ours(route)), theirs); // biome-ignore format: one row
          assert.ok(always.every(has));
        }
      }),
      { numRuns: 500 },
    );
  },
);

t.test("planRoutes() writes hops in one order, whichever came back last", async (t) => {
  const of = (...rails: number[]) =>
    planRoutes([{ dst: "10.99.0.2/32", src: SRC, hops: rails.map((r) => hop(r)) }], []);
  t.same(of(3, 1, 2), of(1, 2, 3));
  t.same(of(2, 1).changes[0]?.route.hops.map(({ index }) => index), [1, 2]); // biome-ignore format: one row
});

for (const { when, route, changes } of [
  { when: "a static one", route: { protocol: 4 }, changes: [] },
  { when: "one of our metric and another protocol", route: { protocol: 4, priority: ROUTE_METRIC }, changes: [] },
  { when: "one of our protocol and another metric", route: { protocol: ROUTE_PROTOCOL, priority: 7 }, changes: [] },
  { when: "one of ours to another hop", route: { protocol: ROUTE_PROTOCOL, priority: ROUTE_METRIC }, changes: ["replace"] },
]) // biome-ignore format: rows
  t.test(`planRoutes() where the destination has ${when} already`, async (t) => {
    const there = { dst: "10.99.0.2/32", src: SRC, ...MAIN, ...hop(3), ...route } as RouteState;
    const plan = planRoutes([{ dst: "10.99.0.2/32", src: SRC, hops: [hop(1)] }], [there]);
    t.same(plan.changes.map((change) => change.do), changes); // biome-ignore format: one row
    t.same(plan.foreign, changes.length === 0 ? [there] : []);
  });

import t from "tap";
import { judge, type Since } from "../../../daemonset/device-plugin/health.ts";
import type { Sight } from "../../../daemonset/device-plugin/sight.ts";

const GRACE_MS = 30;
const well: Sight = { id: "a", vfs: [], attached: false, gone: false };
const dark: Sight = { ...well, problem: "no carrier" };
const sick: Sight = { ...well, problem: "no driver" };
const gone: Sight = { ...well, gone: true, problem: "not there" };

/** Looks one after the other: `[when, sight]`, and what is said of the VF each time. */
for (const { what, looks, want } of [
  { what: "forgives a problem for a time", looks: [[0, dark], [29, dark], [30, dark], [31, dark]], want: "HHUU" },
  { what: "forgives anew after a moment without", looks: [[0, dark], [29, well], [30, dark], [59, dark], [60, dark]], want: "HHHHU" },
  { what: "counts one problem after another as one", looks: [[0, dark], [20, sick], [30, sick]], want: "HHU" },
  { what: "takes what is gone for unhealthy at once", looks: [[0, well], [1, gone], [2, well]], want: "HUH" },
  { what: "takes what is well for healthy at once", looks: [[0, dark], [40, dark], [41, well]], want: "HUH" },
] as { what: string; looks: [number, Sight][]; want: string }[]) // biome-ignore format: rows
  t.test(`judge() ${what}`, async (t) => {
    let since: Since = new Map();
    const said = looks.map(([nowMs, sight]) => {
      const judgement = judge([sight], since, nowMs, GRACE_MS);
      since = judgement.since;
      return judgement.devices[0]!.health[0];
    });
    t.equal(said.join(""), want);
  });

t.test("judge() lists all in order, with memory nodes where there are some, and counts reasons", async (t) => {
  const sights = [gone, { ...well, id: "b", numaNode: 0 }, { ...gone, id: "c" }];
  const { devices, reasons } = judge(sights, new Map(), 0, GRACE_MS);
  t.same(devices, [
    { ID: "a", health: "Unhealthy", topology: undefined },
    { ID: "b", health: "Healthy", topology: { nodes: [{ ID: 0 }] } },
    { ID: "c", health: "Unhealthy", topology: undefined },
  ]);
  t.same(reasons, { "not there": 2 });
});

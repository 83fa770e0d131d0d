import t from "tap";
import { isPfWithin } from "../../../daemonset/reconcile/scope.ts";

t.test("isPfWithin() is of one PF, or of all but some", async (t) => {
  t.same(["a", "b"].map(isPfWithin({ pf: "a" })), [true, false]); // biome-ignore format: one row
  t.same(["a", "b"].map(isPfWithin({ except: ["a"] })), [false, true]); // biome-ignore format: one row
});

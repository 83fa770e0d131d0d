import t from "tap";
import { railEvent } from "../../../daemonset/routes/rail-events.ts";

const of = (reached: number, isLost: boolean) => ({ rail: "rail2", reached, nodes: 47, isLost });

t.test("railEvent() says what a rail that is lost has left, and where to look", async (t) => {
  t.match(railEvent("node-a", true, of(3, true)), {
    about: { resource: { kind: "Node" }, name: "node-a", uid: "node-a" },
    type: "Warning",
    reason: "RailLost",
    message: /^3 of 47 nodes are reached by rail2: .*look at the rail's switch/,
  });
  t.match(railEvent("node-a", false, of(0, true)), { message: /no carrier: look at this node's cable/ });
});

t.test("railEvent() says when it is back", async (t) =>
  t.match(railEvent("node-a", true, of(47, false)), {
    type: "Normal",
    reason: "RailBack",
    message: "47 of 47 nodes are reached by rail2 again",
  }),
);

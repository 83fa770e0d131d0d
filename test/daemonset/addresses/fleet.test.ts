import t from "tap";
import { Fleet } from "../../../daemonset/addresses/fleet.ts";
import { ApiError, type Cluster } from "../../../kubernetes/cluster.ts";

const log = { debug() {}, info() {}, warn() {} };
const { signal } = new AbortController();
const fleetOf = async (count: () => Promise<number>): Promise<Fleet> => {
  const fleet = Fleet.of({ count } as unknown as Cluster, log as never, signal);
  await fleet.known;
  return fleet;
};

for (const { nodes, spreadMs } of [
  { nodes: 3, spreadMs: 300 },
  { nodes: 1000, spreadMs: 1_000 },
  { nodes: 5000, spreadMs: 5_000 },
])
  t.test(`a fleet of ${nodes} nodes comes back within ${spreadMs} ms after a server's restart`, async (t) => {
    const fleet = await fleetOf(async () => nodes);
    t.equal(fleet.spreadMs, spreadMs);
  });

t.test("a fleet that the server does not tell of counts as a small one", async (t) => {
  const fleet = await fleetOf(async () => {
    throw new ApiError("forbidden", { status: 403 });
  });
  t.equal(fleet.spreadMs, 300);
});

import t from "tap";
import { decide } from "../../../cli/ipam/audit/decide.ts";
import { planAudit } from "../../../cli/ipam/audit/plan-audit.ts";
import * as fc from "../../../lab/properties.ts";
import { NOW_MS, type ReservationText, stateOf } from "./support/cluster-state.ts";

const POOL = "10.0.0.0-24";
const NAMES = ["a", "b", "c"];
const name = fc.constantFrom(...NAMES);
const ifname = fc.constantFrom("net1", "net2", "-");
const owner = fc
  .tuple(name, ifname, fc.constantFrom("s1", "s2"))
  .map(([name, ifname, id]) => `default/${name} ${ifname} ${id}`);
const key = fc.constantFrom("1", "2", "3", "junk");
const uid = fc.constantFrom("", "uid-a", "uid-b", "uid-of-another");
const node = fc.constantFrom("", "node-a", "node-b");
const reservation: fc.Arbitrary<ReservationText> = fc.oneof(
  owner,
  fc.record({
    of: owner,
    pool: fc.constant(POOL),
    node,
    uid,
    since: fc.constantFrom("2026-01-10T11:00:00Z", "2026-01-10T11:59:50Z"),
  }),
);
const pod = fc
  .tuple(fc.constantFrom("", " Succeeded", " Failed"), fc.subarray(["net1=10.0.0.1", "net2=10.0.0.2", "net1=10.0.0.3"]))
  .map(([phase, used]) => `${phase} ${used.join(" ")}`);
const state = fc.record({
  mode: fc.constantFrom("absent", "coexist"),
  adopted: fc.boolean(),
  records: fc.dictionary(key, owner, { noNullPrototype: true }),
  reservations: fc.dictionary(fc.constantFrom("10.0.0.1", "10.0.0.2", "10.0.0.3"), reservation, {
    noNullPrototype: true,
  }),
  pods: fc.dictionary(name, pod, { noNullPrototype: true }),
  nodes: fc.constantFrom("ready", "down", "gone"),
});

t.test(
  "planAudit() and decide(), in any state, free nothing of a living pod and reserve nothing that is taken",
  async (t) => {
    let [freed, reserved] = [0, 0];
    fc.assert(
      fc.property(state, ({ mode, adopted, records, reservations, pods, nodes }) => {
        const texts = Object.entries(pods).map(([name, text]) => `${name} ${text}`.trim().replace(/ +/g, " "));
        const { snapshot, pods: known } = stateOf({
          mode: mode as "absent" | "coexist",
          pools: { [POOL]: { range: "10.0.0.0/24", adopted, records } },
          reservations,
          pods: texts,
        });
        const runs = (podref: string): boolean => known.pods.get(podref)?.status?.phase === "Running";
        for (const finding of planAudit(snapshot, known, NOW_MS).findings.map((one) =>
          decide(one, () => nodes as "ready"),
        )) {
          const { fix, reservation, records, owners, ip, kind } = finding;
          if (fix === "free") {
            freed++;
            const isAnother =
              reservation !== undefined &&
              reservation.podUid !== "" &&
              reservation.podUid !== `uid-${reservation.podref.slice(8)}`;
            if (reservation && runs(reservation.podref) && !isAnother)
              throw new Error(`frees the living ${reservation.podref}`);
            for (const { record } of records)
              if (
                runs(record.podref) &&
                !(isAnother && record.podref === reservation?.podref && record.id === reservation.containerId)
              )
                throw new Error(`frees the living ${record.podref}`);
            const named = owners.find(({ node }) => node)?.node;
            if (named && nodes !== "gone") throw new Error(`frees what the agent of ${named} looks after`);
          }
          if (fix === "reserve") {
            reserved++;
            if (!owners.every(({ podref }) => runs(podref))) throw new Error("reserves for a pod that does not run");
            const holder = snapshot.reservations.find((one) => one.ip === ip);
            if (holder && runs(holder.podref) && holder.podUid === "")
              throw new Error(`reserves what ${holder.podref} has`);
          }
          if (kind === "duplicate" && fix !== "none") throw new Error("touches a duplicate");
        }
      }),
      { numRuns: 1000 },
    );
    t.ok(freed > 100 && reserved > 100, `it saw ${freed} to free and ${reserved} to reserve`);
  },
);

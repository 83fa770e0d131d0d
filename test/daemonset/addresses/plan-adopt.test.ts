import t from "tap";
import { filling, judge } from "../../../daemonset/addresses/leader/plan-adopt.ts";
import type { Reservation } from "../../../ipam/whereabouts/objects.ts";

const record = { id: "a1", ifname: "net1", podref: "default/a" };
const theirs: Reservation = {
  metadata: { name: "rail0-10.0.0.5", resourceVersion: "7" },
  spec: { podref: "default/a", ifname: "net1" },
};
const ours: Reservation = {
  metadata: { ...theirs.metadata, annotations: { "railnet.io/pool": "rail0-10.0.0.0-24" } },
  spec: { ...theirs.spec, containerid: "a1" },
};

for (const { when, reservation, want } of [
  { when: "is Whereabouts' own", reservation: theirs, want: "fill" },
  { when: "is without an interface", reservation: { ...theirs, spec: { podref: "default/a" } }, want: "fill" },
  { when: "is whole", reservation: ours, want: "fine" },
  { when: "is of a newer sandbox", reservation: { ...ours, spec: { ...ours.spec, containerid: "a2" } }, want: "fine" },
  {
    when: "is of another pod",
    reservation: { ...ours, spec: { ...ours.spec, podref: "default/b" } },
    want: "conflict",
  },
  {
    when: "is of the pod's other interface",
    reservation: { ...theirs, spec: { podref: "default/a", ifname: "net2" } },
    want: "conflict",
  },
])
  t.test(`judge() of a reservation that ${when}: ${want}`, async (t) => {
    t.equal(judge(record, reservation), want);
  });

t.test(
  "filling() adds what Whereabouts leaves out, keeps what is said, and holds only for what was read",
  async (t) => {
    const pool = { name: "rail0-10.0.0.0-24", cidr: "10.0.0.0/24", network: "rail0", overlapping: true };
    const owner = { podref: "default/a", ifname: "net1", containerId: "a1", podUid: "u1", node: "n1" };
    const labelled: Reservation = { ...theirs, metadata: { ...theirs.metadata, labels: { team: "x" } } };
    t.match(filling({ pool, ip: "10.0.0.5", owner }, labelled), {
      metadata: {
        resourceVersion: "7",
        labels: {
          team: "x",
          "railnet.io/node": "n1",
          "railnet.io/pod-uid": "u1",
          "railnet.io/network": "rail0",
          "railnet.io/pool": "rail0-10.0.0.0-24",
        },
      },
      spec: { podref: "default/a", ifname: "net1", containerid: "a1" },
    });
  },
);

import t from "tap";
import { measure } from "../../../bench/cluster/measure.ts";
import { Place } from "../../../bench/cluster/place.ts";
import { toRows } from "../../../bench/cluster/report.ts";

t.setTimeout(600_000);

t.test("bench/cluster times a pod of each contestant, which gets four networks and gives them back", async (t) => {
  await using place = await Place.prepare({ pods: 1, multus: "thin", signal: new AbortController().signal });
  const single = await measure(place, "pod", 1, 1);
  t.same(
    single.map(({ who, calls }) => [who, ...calls.map(({ plugin, verb, ifname }) => `${plugin} ${verb} ${ifname}`)]),
    [
      { who: "railnet", plugin: "railnet-sriov" },
      { who: "peer", plugin: "host-device" },
    ].map(({ who, plugin }) => [
      who,
      ...[1, 2, 3, 4].map((i) => `${plugin} ADD net${i}`),
      ...[4, 3, 2, 1].map((i) => `${plugin} DEL net${i}`),
    ]),
  );
  t.same(
    toRows({ single, burst: [] }).map((row) => row.case),
    ["pod/add-sum", "pod/del-sum", "pod/running", "pod/failed"],
  );
  await place.assertAbsent();
});

import {
  AS_METADATA,
  AS_METADATA_LIST,
  brief,
  type Case,
  type Json,
  LEASES,
  merge,
  NOTHINGS,
  onNode,
  POOLS,
  patch,
  pool,
  RESERVATIONS,
  reservation,
  versionOf,
} from "./subject.ts";

/** Reads and writes of single objects and lists. In order: later ones build on earlier ones. */
export const OF_OBJECTS: readonly Case[] = [
  {
    name: "create, and again",
    look: async (s) => [
      brief(await s.request("POST", RESERVATIONS, { body: reservation("10.0.0.1") })),
      brief(await s.request("POST", RESERVATIONS, { body: reservation("10.0.0.1") })),
    ],
    want: [
      { status: 201, kind: "OverlappingRangeIPReservation" },
      { status: 409, reason: "AlreadyExists", name: "10.0.0.1" },
    ],
  },
  {
    name: "create gives UID, namespace, version, time, kind",
    look: async (s) => {
      const answer = await s.request("POST", RESERVATIONS, { body: reservation("10.0.0.2") });
      const { kind, metadata } = answer.body;
      const isTime = /^\d{4}-.*T.*Z$/.test(metadata.creationTimestamp);
      return [kind, metadata.namespace, Boolean(metadata.uid), versionOf(answer) > 0, isTime];
    },
    want: ["OverlappingRangeIPReservation", "kube-system", true, true, true],
  },
  {
    name: "get what is not there",
    look: async (s) => brief(await s.request("GET", `${RESERVATIONS}/10.9.9.9`)),
    want: { status: 404, reason: "NotFound", name: "10.9.9.9" },
  },
  {
    name: "get of a kind that nobody serves",
    look: async (s) => brief(await s.request("GET", `${NOTHINGS}/x`)),
    want: { status: 404, text: "404 page not found" },
  },
  {
    name: "get metadata only",
    look: async (s) => {
      const { status, body } = await s.request("GET", `${RESERVATIONS}/10.0.0.1`, { accept: AS_METADATA });
      return [status, body.kind, body.apiVersion, body.spec === undefined];
    },
    want: [200, "PartialObjectMetadata", "meta.k8s.io/v1", true],
  },
  {
    name: "JSON patch: tests that fail",
    look: async (s) => [
      brief(
        await patch(s, `${RESERVATIONS}/10.0.0.1`, [{ op: "test", path: "/metadata/resourceVersion", value: "1" }]),
      ),
      brief(await patch(s, `${RESERVATIONS}/10.0.0.1`, [{ op: "test", path: "/spec/containerid", value: "other" }])),
      brief(await patch(s, `${RESERVATIONS}/10.9.9.9`, [{ op: "test", path: "/spec/containerid", value: "c1" }])),
    ],
    want: [
      { status: 422, reason: "Invalid" },
      { status: 422, reason: "Invalid" },
      { status: 404, reason: "NotFound", name: "10.9.9.9" },
    ],
  },
  {
    name: "JSON patch on a pool: add to nothing, and to something; remove and replace what is not there",
    look: async (s) => {
      await s.request("POST", POOLS, { body: pool("p1", { 1: { id: "a", podref: "t/a", ifname: "net1" } }) });
      const record = { id: "b", podref: "t/b", ifname: "net1" };
      const at = (key: string) => `/spec/allocations/${key}`;
      const add = [
        { op: "test", path: at("2"), value: null },
        { op: "add", path: at("2"), value: record },
      ];
      const patches = [
        add,
        add,
        [
          { op: "test", path: `${at("1")}/id`, value: "x" },
          { op: "remove", path: at("1") },
        ],
        [
          { op: "test", path: `${at("7")}/id`, value: "x" },
          { op: "remove", path: at("7") },
        ],
        [{ op: "remove", path: at("7") }],
        [{ op: "replace", path: `${at("7")}/id`, value: "x" }],
        [{ op: "add", path: `${at("7")}/id`, value: "x" }],
      ];
      const statuses: number[] = [];
      for (const one of patches) statuses.push((await patch(s, `${POOLS}/p1`, one)).status);
      return [statuses, Object.keys((await s.request("GET", `${POOLS}/p1`)).body.spec.allocations)];
    },
    want: [
      [200, 422, 422, 422, 422, 422, 422],
      ["1", "2"],
    ],
  },
  {
    name: "JSON patch hands a reservation over: another version, the same UID",
    look: async (s) => {
      const before = await s.request("GET", `${RESERVATIONS}/10.0.0.1`);
      const { resourceVersion, uid } = before.body.metadata;
      const after = await patch(s, `${RESERVATIONS}/10.0.0.1`, [
        { op: "test", path: "/metadata/resourceVersion", value: resourceVersion },
        { op: "test", path: "/metadata/uid", value: uid },
        { op: "add", path: "/metadata/labels", value: { x: "y" } },
        { op: "add", path: "/spec", value: { podref: "team/a", ifname: "net1", containerid: "c9" } },
      ]);
      const { metadata, spec } = after.body;
      return [
        after.status,
        spec.containerid,
        metadata.labels,
        metadata.uid === uid,
        versionOf(after) > versionOf(before),
      ];
    },
    want: [200, "c9", { x: "y" }, true, true],
  },
  {
    name: "JSON patch that changes nothing writes nothing",
    look: async (s) => {
      const before = await s.request("GET", `${RESERVATIONS}/10.0.0.1`);
      const after = await patch(s, `${RESERVATIONS}/10.0.0.1`, [{ op: "add", path: "/spec/containerid", value: "c9" }]);
      return [after.status, versionOf(after) === versionOf(before)];
    },
    want: [200, true],
  },
  {
    name: "merge patch: null, no change, an old version, nothing there",
    look: async (s) => {
      await merge(s, `${POOLS}/p1`, { metadata: { annotations: { a: "1", b: "2" } } });
      const one = await merge(s, `${POOLS}/p1`, { metadata: { annotations: { a: null } } });
      const same = await merge(s, `${POOLS}/p1`, { metadata: { annotations: { b: "2" } } });
      return [
        one.body.metadata.annotations,
        versionOf(one) === versionOf(same),
        brief(await merge(s, `${POOLS}/p1`, { metadata: { resourceVersion: "1", annotations: { c: "3" } } })),
        brief(await merge(s, `${POOLS}/none`, { metadata: {} })),
      ];
    },
    want: [
      { b: "2" },
      true,
      { status: 409, reason: "Conflict", name: "p1" },
      { status: 404, reason: "NotFound", name: "none" },
    ],
  },
  {
    name: "replace: an old version, none, the same, nothing there",
    look: async (s) => {
      const { body } = await s.request("GET", `${RESERVATIONS}/10.0.0.2`);
      const { resourceVersion, ...metadata } = body.metadata;
      const put = (name: string, object: Json) => s.request("PUT", `${RESERVATIONS}/${name}`, { body: object });
      const old = await put("10.0.0.2", { ...body, metadata: { ...metadata, resourceVersion: "1" } });
      const none = await put("10.0.0.2", { ...body, metadata });
      const same = await put("10.0.0.2", body);
      const missing = await put("10.9.9.9", { ...body, metadata: { ...body.metadata, name: "10.9.9.9" } });
      return [brief(old), brief(none), same.status, String(versionOf(same)) === resourceVersion, brief(missing)];
    },
    want: [
      { status: 409, reason: "Conflict", name: "10.0.0.2" },
      { status: 422, reason: "Invalid", name: "10.0.0.2" },
      200,
      true,
      { status: 404, reason: "NotFound", name: "10.9.9.9" },
    ],
  },
  {
    name: "a lease: taken, renewed, and taken by a version that is over",
    look: async (s) => {
      const lease = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: { name: "l1" } };
      const first = await s.request("POST", LEASES, { body: { ...lease, spec: { holderIdentity: "a" } } });
      const put = (holderIdentity: string) =>
        s.request("PUT", `${LEASES}/l1`, { body: { ...first.body, spec: { holderIdentity } } });
      const [second, third] = [await put("b"), await put("c")];
      return [first.status, second.status, versionOf(second) > versionOf(first), brief(third)];
    },
    want: [201, 200, true, { status: 409, reason: "Conflict", name: "l1" }],
  },
  {
    name: "delete: a wrong UID, a wrong version, right, and again",
    look: async (s) => {
      const { uid, resourceVersion } = (await s.request("GET", `${RESERVATIONS}/10.0.0.2`)).body.metadata;
      const remove = (preconditions: object) =>
        s.request("DELETE", `${RESERVATIONS}/10.0.0.2`, {
          body: { apiVersion: "v1", kind: "DeleteOptions", preconditions },
        });
      const wrongUid = await remove({ uid: "00000000-0000-0000-0000-000000000000", resourceVersion });
      const wrongVersion = await remove({ uid, resourceVersion: "1" });
      const right = await remove({ uid, resourceVersion });
      const again = await remove({ uid, resourceVersion });
      return [
        brief(wrongUid),
        brief(wrongVersion),
        right.status,
        right.body.status,
        right.body.details.uid === uid,
        brief(again),
      ];
    },
    want: [
      { status: 409, reason: "Conflict", name: "10.0.0.2" },
      { status: 409, reason: "Conflict", name: "10.0.0.2" },
      200,
      "Success",
      true,
      { status: 404, reason: "NotFound", name: "10.0.0.2" },
    ],
  },
  {
    name: "list: by label, by name, metadata alone",
    look: async (s) => {
      await s.request("POST", RESERVATIONS, { body: reservation("10.0.1.1", onNode("n1")) });
      await s.request("POST", RESERVATIONS, { body: reservation("10.0.1.2", onNode("n2")) });
      const names = ({ body }: { body: Json }) => body.items.map((item: Json) => item.metadata.name);
      const { body } = await s.request("GET", `${RESERVATIONS}?limit=500`, { accept: AS_METADATA_LIST });
      return [
        names(await s.request("GET", `${RESERVATIONS}?labelSelector=railnet.io%2Fnode%3Dn1`)),
        names(await s.request("GET", `${RESERVATIONS}?fieldSelector=metadata.name%3D10.0.1.2`)),
        names(await s.request("GET", `${RESERVATIONS}?fieldSelector=metadata.name%3Dnone`)),
        body.kind,
        body.items.length,
        body.items.every((item: Json) => item.spec === undefined),
      ];
    },
    want: [["10.0.1.1"], ["10.0.1.2"], [], "PartialObjectMetadataList", 3, true],
  },
  {
    name: "a list's version is that of the last write of any kind",
    look: async (s) => {
      const before = versionOf(await s.request("GET", RESERVATIONS));
      const written = versionOf(await s.request("POST", POOLS, { body: pool("p2") }));
      const after = versionOf(await s.request("GET", `${RESERVATIONS}?fieldSelector=metadata.name%3Dnone`));
      return [written > before, after >= written];
    },
    want: [true, true],
  },
];

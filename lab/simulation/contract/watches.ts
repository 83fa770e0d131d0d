import {
  brief,
  type Case,
  type Json,
  onNode,
  patch,
  RESERVATIONS,
  reservation,
  type Subject,
  versionOf,
} from "./subject.ts";

const TYPES = (lines: readonly Json[]) => lines.map(({ type }) => type);

/** For some seconds after a start the real server says 429: its watch cache is not ready. */
async function watchOnceReady(s: Subject, path: string) {
  for (let attempt = 0; ; attempt++) {
    const seen = await s.watch(path, 4_000);
    if (seen.status !== 429 || attempt > 40) return seen;
  }
}

/** Watches, restarts, and definitions that go and come. */
export const OF_WATCHES: readonly Case[] = [
  {
    name: "a watch with a selector: what comes into it and goes out of it; a deletion has a version of its own",
    look: async (s) => {
      const from = versionOf(await s.request("GET", `${RESERVATIONS}?labelSelector=railnet.io%2Fnode%3Dn1`));
      const one = `${RESERVATIONS}/10.0.1.1`;
      const toNode = (node: string) => [{ op: "replace", path: "/metadata/labels/railnet.io~1node", value: node }];
      let last = 0;
      const query = `labelSelector=railnet.io%2Fnode%3Dn1&resourceVersion=${from}&watch=1&allowWatchBookmarks=true&timeoutSeconds=4`;
      const { lines } = await s.watch(`${RESERVATIONS}?${query}`, 6_000, async () => {
        await s.request("POST", RESERVATIONS, { body: reservation("10.0.1.3", onNode("n1")) });
        await patch(s, one, [{ op: "add", path: "/spec/containerid", value: "c5" }]);
        await patch(s, one, toNode("n2"));
        await patch(s, one, toNode("n1"));
        last = versionOf(await s.request("GET", one));
        await s.request("DELETE", one, { body: {} });
      });
      const told = lines.filter(({ type }) => type !== "BOOKMARK");
      const words = told.map(
        ({ type, object }) => `${type} ${object.metadata.name} ${object.metadata.labels["railnet.io/node"]}`,
      );
      const isLater = Number(told.at(-1)?.object.metadata.resourceVersion) > last;
      return [words, isLater, TYPES(lines).includes("BOOKMARK")];
    },
    want: [
      ["ADDED 10.0.1.3 n1", "MODIFIED 10.0.1.1 n1", "DELETED 10.0.1.1 n1", "ADDED 10.0.1.1 n1", "DELETED 10.0.1.1 n1"],
      true,
      true,
    ],
  },
  {
    name: "a watch from the past tells what came since",
    look: async (s) => {
      const from = versionOf(await s.request("GET", RESERVATIONS));
      await s.request("POST", RESERVATIONS, { body: reservation("10.0.2.1") });
      await s.request("DELETE", `${RESERVATIONS}/10.0.2.1`, { body: {} });
      return TYPES((await s.watch(`${RESERVATIONS}?resourceVersion=${from}&watch=1&timeoutSeconds=2`, 4_000)).lines);
    },
    want: ["ADDED", "DELETED"],
  },
  {
    name: "a watch from a version that is not there yet is deaf",
    look: async (s) => {
      const from = versionOf(await s.request("GET", RESERVATIONS)) + 100_000;
      const query = `resourceVersion=${from}&watch=1&timeoutSeconds=3&allowWatchBookmarks=true`;
      const { status, lines } = await s.watch(`${RESERVATIONS}?${query}`, 5_000, () =>
        s.request("POST", RESERVATIONS, { body: reservation("10.0.3.1") }),
      );
      return [status, TYPES(lines)];
    },
    want: [200, []],
  },
  {
    name: "a watch from before the server's start is told 410",
    look: async (s) => {
      const from = versionOf(await s.request("GET", RESERVATIONS));
      await s.request("POST", RESERVATIONS, { body: reservation("10.0.4.1") });
      await s.restart();
      const { status, lines } = await watchOnceReady(
        s,
        `${RESERVATIONS}?resourceVersion=${from}&watch=1&timeoutSeconds=2`,
      );
      return [status, lines.map(({ type, object }) => [type, object.kind, object.reason, object.code].join(" "))];
    },
    want: [200, ["ERROR Status Expired 410"]],
  },
  {
    name: "a definition goes: its objects are deleted, nobody serves them, a watch ends",
    look: async (s) => {
      const from = versionOf(await s.request("GET", RESERVATIONS));
      const { items } = (await s.request("GET", RESERVATIONS)).body;
      const { lines } = await s.watch(`${RESERVATIONS}?resourceVersion=${from}&watch=1&timeoutSeconds=30`, 20_000, () =>
        s.unserve(),
      );
      return [
        TYPES(lines).filter((type) => type === "DELETED").length === items.length,
        brief(await s.request("GET", RESERVATIONS)),
        brief(await s.request("GET", `${RESERVATIONS}/10.0.0.1`)),
        brief(await s.request("POST", RESERVATIONS, { body: reservation("10.0.0.1") })),
      ];
    },
    want: [
      true,
      { status: 404, text: "404 page not found" },
      { status: 404, text: "404 page not found" },
      { status: 404, text: "404 page not found" },
    ],
  },
  {
    name: "and comes again: nothing is there, versions go on",
    look: async (s) => {
      await s.serve();
      const { status, body } = await s.request("GET", RESERVATIONS);
      const made = await s.request("POST", RESERVATIONS, { body: reservation("10.0.0.1") });
      return [status, body.items, made.status, versionOf(made) > Number(body.metadata.resourceVersion)];
    },
    want: [200, [], 201, true],
  },
];

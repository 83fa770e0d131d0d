// What a watch per node costs the API server: its processor time for a reservation that is created and deleted again, while
// so many watchers look for the reservations of their own node, or for one object by name. Also what a node's list of its
// own reservations costs among many, and its GETs. RAILNET_WATCHERS: how many (default 5000). Needs root.
import { readFileSync } from "node:fs";
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { ApiServer } from "../../lab/cluster/api-server.ts";
import { installCrds } from "../../lab/cluster/install.ts";
import { useOf } from "../../lab/netns/process-use.ts";

const WATCHERS = Number(process.env["RAILNET_WATCHERS"] ?? 5000);
const [EVENTS, OBJECTS, MANY, STREAMS] = [200, 4000, 40_000, 50];
const PATH = "/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system/overlappingrangeipreservations";
const say = (what: string) => console.error(`[watchers] ${what}`);

const api = await ApiServer.start({ small: false });
try {
  await installCrds(api.raw);
  const pki = (file: string) => readFileSync(api.pki.path(file));
  const session = (): ClientHttp2Session =>
    connect(api.url, { ca: pki("ca.crt"), cert: pki("admin.crt"), key: pki("admin.key") });
  const cpu = () => useOf(api.pids.server).cpuSeconds * 1000;
  const reservation = (name: string, node: string) => ({
    apiVersion: "whereabouts.cni.cncf.io/v1alpha1",
    kind: "OverlappingRangeIPReservation",
    metadata: {
      name,
      labels: { "railnet.io/node": node, "railnet.io/network": "rail0", "railnet.io/pool": "rail0-10.0.0.0-8" },
    },
    spec: { podref: "team/job", ifname: "net1", containerid: "c".repeat(64) },
  });
  /** Milliseconds of processor time for one reservation, made and taken away. */
  const churn = async (what: string): Promise<number> => {
    await sleep(2000);
    const before = cpu();
    for (let i = 0; i < EVENTS; i++) {
      await api.raw.post(PATH, reservation(`churn-${i}`, `sim-${i}`));
      await api.raw.delete(`${PATH}/churn-${i}`);
    }
    const each = (cpu() - before) / EVENTS;
    say(`${what}: ${each.toFixed(2)} ms for a reservation made and taken away`);
    return each;
  };

  const version = (await api.raw.get(PATH)).metadata.resourceVersion;
  const alone = await churn("no watchers");
  for (const [kind, selector] of [
    ["by label", (i: number) => `labelSelector=railnet.io%2Fnode%3Dsim-${10_000 + i}`],
    ["by name", (i: number) => `fieldSelector=metadata.name%3Dlease-${i}`],
  ] as const) {
    const sessions: ClientHttp2Session[] = [];
    const streams: ClientHttp2Stream[] = [];
    let [answered, failed, why] = [0, 0, ""];
    for (let i = 0; i < WATCHERS; i++) {
      if (i % STREAMS === 0) sessions.push(session());
      const path = `${PATH}?watch=1&allowWatchBookmarks=false&resourceVersion=${version}&${selector(i)}`;
      const stream = sessions.at(-1)!.request({ ":path": path, accept: "application/json" });
      stream
        .on("response", () => answered++)
        .on("error", (error) => {
          failed++;
          why = error.message;
        });
      stream.resume();
      streams.push(stream);
      if (i % STREAMS === 0) await sleep(20);
    }
    for (let i = 0; answered < WATCHERS && i < 100; i++) await sleep(200);
    say(`${answered} of ${WATCHERS} watches ${kind} are open, ${failed} failed ${why}`);
    const each = await churn(`${WATCHERS} watchers ${kind}`);
    say(`${kind}: ${(((each - alone) * 1000) / answered / 2).toFixed(2)} µs for each watcher and event`);
    for (const one of sessions) one.destroy();
    await sleep(5000);
  }

  const reads = async (what: string, count: number, path: (i: number) => string, accept = "application/json") => {
    const before = cpu();
    for (let i = 0; i < count; i++) await api.raw.request("GET", path(i), { accept });
    say(`${what}: ${((cpu() - before) / count).toFixed(2)} ms`);
  };
  const part = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
  let held = 0;
  for (const objects of [OBJECTS, MANY]) {
    for (; held < objects; held += 50)
      await Promise.all(
        Array.from({ length: 50 }, (_, k) =>
          api.raw.post(PATH, reservation(`held-${held + k}`, `sim-${(held + k) % (objects / 16)}`)),
        ),
      );
    const own = (i: number) => `${PATH}?labelSelector=railnet.io%2Fnode%3Dsim-${i}`;
    for (let turn = 0; turn < 2; turn++) {
      await reads(`a list of one node's among ${held}, from the cache`, 50, (i) => `${own(i)}&resourceVersion=0`);
      await reads("the same, consistent", 50, own);
      await reads("a GET", 1000, (i) => `${PATH}/held-${i}`);
      await reads("a GET, from the cache", 1000, (i) => `${PATH}/held-${i}?resourceVersion=0`);
      await reads("a GET of the metadata, from the cache", 1000, (i) => `${PATH}/held-${i}?resourceVersion=0`, part);
    }
  }
} finally {
  await api.stop();
}

import { readFileSync } from "node:fs";
import { request } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { ApiServer } from "../../../lab/cluster/api-server.ts";
import { crds, installCrds } from "../../../lab/cluster/install.ts";
import { pathOf } from "../../../lab/cluster/raw.ts";
import { OF_OBJECTS } from "../../../lab/simulation/contract/objects.ts";
import { type Json, RESERVATIONS, type Subject } from "../../../lab/simulation/contract/subject.ts";
import { OF_WATCHES } from "../../../lab/simulation/contract/watches.ts";
import { until } from "../../../lab/until.ts";

const api = await ApiServer.start();
t.teardown(() => api.stop());
await installCrds(api.raw);
const [ca, cert, key] = ["ca.crt", "admin.crt", "admin.key"].map((file) => readFileSync(api.pki.path(file)));
const definition = (await crds("ours")).find(({ object }) =>
  object.metadata.name.startsWith("overlappingrange"),
)!.object;

const isServed = async () => (await api.raw.request("GET", RESERVATIONS)).status === 200;

/** The real kube-apiserver. */
const subject: Subject = {
  request: (method, path, options) => api.raw.request(method, path, options),
  watch,
  async restart() {
    await api.down("SIGKILL");
    await api.startAgain();
  },
  async unserve() {
    await api.raw.request("DELETE", pathOf(definition));
    await until("reservations are not served", async () => !(await isServed()));
    await sleep(1_000); // a watch is told of the last ones
  },
  async serve() {
    await installCrds(api.raw);
    await until("reservations are served", isServed);
  },
};

function watch(path: string, ms: number, during?: () => Promise<unknown>): ReturnType<Subject["watch"]> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; lines: Json[] }>();
  let text = "";
  const sent = request(`${api.url}${path}`, { ca: ca!, cert: cert!, key: key!, agent: false }, (response) => {
    const done = () => {
      clearTimeout(limit);
      const lines = text.split("\n").slice(0, -1).filter(Boolean);
      resolve({ status: response.statusCode!, lines: lines.map((line) => JSON.parse(line)) });
    };
    const limit = setTimeout(() => sent.destroy(), ms);
    response.setEncoding("utf8").on("data", (piece) => (text += piece));
    response.on("close", done);
    response.on("error", () => {});
    during?.().catch(reject);
  });
  sent.on("error", () => {});
  sent.end();
  return promise;
}

for (const { name, look, want } of [...OF_OBJECTS, ...OF_WATCHES])
  t.test(`kube-apiserver: ${name}`, async (t) => t.same(await look(subject), want));

import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { CONFIG_MAPS, RESERVATIONS } from "../../../kubernetes/cluster.ts";
import { ApiServer } from "../../../lab/cluster/api-server.ts";
import { type Effect, FaultProxy } from "../../../lab/cluster/fault-proxy.ts";
import { installAgent, installCrds } from "../../../lab/cluster/install.ts";
import { Pki } from "../../../lab/cluster/pki.ts";
import type { Json } from "../../../lab/cluster/raw.ts";
import { until } from "../../../lab/until.ts";
import { Remote, RUNTIMES } from "./support/remote.ts";
import { RESERVATION_PATH, reservation } from "./support/reservation.ts";

const api = await ApiServer.start();
t.teardown(() => api.stop());
await installCrds(api.raw);
const token = await installAgent(api);
const proxy = await FaultProxy.start(api);
t.teardown(() => proxy.stop());
const kubeconfig = api.kubeconfig({ token, server: proxy.url });
const exists = async (name: string) => (await api.raw.request("GET", `${RESERVATION_PATH}/${name}`)).status === 200;

mkdirSync(`${api.folder}/other`);
const stranger = new Pki(`${api.folder}/other`);

for (const runtime of RUNTIMES)
  t.test(`under ${runtime}:`, async (t) => {
    const remote = new Remote(runtime);
    t.teardown(() => remote.stop());
    t.afterEach(() => proxy.heal());
    const usual = { kubeconfig };
    const brief = { kubeconfig, timeLimitMs: 1500 };
    const create = (name: string, options: object = usual) =>
      remote.failure({ ...usual, ...options }, "create", RESERVATIONS, reservation(`${runtime}.${name}`));

    t.test("a server whose certificate another CA signed is refused, and sees no request", async (t) => {
      const wrong = api.kubeconfig({ token, server: proxy.url, ca: stranger.path("ca.crt") });
      const before = proxy.counted(/POST/);
      const failure = await create("wrong-ca", { kubeconfig: wrong });
      t.match(failure, { name: "ApiError", status: 0, isUnclear: false });
      t.match(failure!.message, "not signed by the CA of the kubeconfig");
      t.equal(proxy.counted(/POST/), before);
    });

    t.test("a server whose certificate is for another name is refused, with what to name", async (t) => {
      const cluster = { "tls-server-name": "other.local" };
      const failure = await create("wrong-name", { kubeconfig: api.kubeconfig({ token, server: proxy.url, cluster }) });
      t.match(failure, { name: "ApiError", status: 0, isUnclear: false });
      t.match(failure!.message, "tls-server-name");
      t.notMatch(failure!.message, "not signed by the CA");
    });

    t.test("several groups to act as arrive as several", async (t) => {
      const asGroups = ["system:masters", "system:authenticated"];
      const admin = api.kubeconfig({ user: { as: "somebody", "as-groups": asGroups } });
      t.equal(await create("as-groups", { kubeconfig: admin }), undefined);
      t.ok(await exists(`${runtime}.as-groups`));
    });

    t.test("a kubeconfig whose CA is put right works from the next call on", async (t) => {
      const ca = `${api.folder}/ca-${runtime}.crt`;
      copyFileSync(stranger.path("ca.crt"), ca);
      const options = { kubeconfig: api.kubeconfig({ token, server: proxy.url, ca }) };
      t.match(await create("ca-fixed", options), { status: 0 });
      copyFileSync(api.pki.path("ca.crt"), ca);
      t.equal(await create("ca-fixed", options), undefined);
    });

    t.test("a token file is read again when its token is refused", async (t) => {
      const tokenFile = `${api.folder}/token-${runtime}`;
      writeFileSync(tokenFile, "expired\n");
      const options = { kubeconfig: api.kubeconfig({ tokenFile, server: proxy.url }) };
      const failure = await create("rotated", options);
      t.match(failure, { status: 401, reason: "Unauthorized", isUnclear: false });
      t.match(failure!.message, "not, or no longer, valid");
      writeFileSync(tokenFile, `${token}\n`);
      t.equal(await create("rotated", options), undefined);
      t.ok(await exists(`${runtime}.rotated`));
    });

    t.test("a kubeconfig is read again when its token is refused", async (t) => {
      const path = api.kubeconfig({ token: "expired", server: proxy.url });
      t.match(await create("rewritten", { kubeconfig: path }), { status: 401 });
      copyFileSync(kubeconfig, path);
      t.equal(await create("rewritten", { kubeconfig: path }), undefined);
    });

    t.test("a refused connection fails clearly, and nothing is done", async (t) => {
      await proxy.down();
      const failure = await create("refused");
      t.match(failure, { status: 0, reason: "", isUnclear: false });
      t.match(failure!.message, `cannot create overlappingrangeipreservations ${runtime}.refused at ${proxy.url}: `);
      t.match(failure!.message, "ECONNREFUSED");
      t.notOk(await exists(`${runtime}.refused`));
    });

    t.test("a server that comes back within moments is worth the wait", async (t) => {
      await proxy.down();
      const creating = create("back");
      await sleep(60);
      await proxy.up();
      t.equal(await creating, undefined);
    });

    t.test("429 is obeyed within the time limit: once more after Retry-After", async (t) => {
      proxy.on({ method: "POST", effect: { kind: "answer", status: 429, retryAfter: 1 }, times: 1 });
      const before = proxy.counted(/POST/);
      t.equal(await create("throttled"), undefined);
      t.equal(proxy.counted(/POST/) - before, 2);
      proxy.on({ method: "POST", effect: { kind: "answer", status: 429, retryAfter: 60 } });
      t.match(await create("throttled-long"), { status: 429, reason: "TooManyRequests", isUnclear: false });
      t.equal(proxy.counted(/POST/) - before, 3, "and not again when that would be too late");
    });

    const unclear: readonly Exclude<Effect, { kind: "slow" }>[] = [
      { kind: "answer", status: 500 },
      { kind: "answer", status: 504 },
      { kind: "cut" },
      { kind: "hang" },
    ];
    for (const [n, effect] of unclear.entries())
      for (const when of ["before", "after"] as const)
        t.test(`a write is unclear, and sent once: ${JSON.stringify(effect)} ${when} it was done`, async (t) => {
          proxy.on({ method: "POST", effect: { ...effect, when } });
          const before = proxy.counted(/POST/);
          const failure = await create(`unclear.${n}.${when}`, effect.kind === "hang" ? brief : usual);
          t.match(failure, { name: "ApiError", isUnclear: true, message: "it may have been done nevertheless" });
          t.equal(proxy.counted(/POST/) - before, 1);
          const isDone = () => exists(`${runtime}.unclear.${n}.${when}`);
          if (when === "after") await until("it was done", isDone);
          else t.notOk(await isDone());
        });

    for (const status of [409, 422, 503])
      t.test(`an answer ${status} is clear: nothing was done`, async (t) => {
        proxy.on({ method: "POST", effect: { kind: "answer", status } });
        t.match(await create(`clear.${status}`), { status, isUnclear: false });
        t.notOk(await exists(`${runtime}.clear.${status}`));
      });

    t.test("a read whose connection breaks is done again, one that hangs is not unclear", async (t) => {
      await api.raw.apply(reservation(`${runtime}.read`));
      const forget = proxy.on({ method: "GET", effect: { kind: "cut" }, times: 1 });
      t.match(await remote.call(usual, "get", RESERVATIONS, `${runtime}.read`), { spec: { podref: "team/pod" } });
      forget();
      proxy.on({ method: "GET", effect: { kind: "hang" } });
      const failure = await remote.failure(brief, "get", RESERVATIONS, `${runtime}.read`);
      t.match(failure, { status: 0, isUnclear: false, message: "no answer within 1500 ms" });
    });

    t.test("a caller that gives up is told so, and its request may have been done", async (t) => {
      proxy.on({ method: "POST", effect: { kind: "hang", when: "after" } });
      const before = proxy.counted(/POST/);
      const call = remote.call(usual, "create", RESERVATIONS, reservation(`${runtime}.left`));
      while (proxy.counted(/POST/) === before) await sleep(5);
      call.abort();
      const failure = await call.catch((error) => error);
      t.match(failure, { name: "ApiError", isUnclear: true, message: "the caller gave up" });
    });

    t.test("calls that wait for their turn use no more connections than allowed", async (t) => {
      proxy.cutAll();
      while (proxy.connections > 0) await sleep(5);
      proxy.mostConnections = 0;
      proxy.on({ method: "POST", effect: { kind: "slow", ms: 20 } });
      const many = Array.from({ length: 40 }, (_, n) => reservation(`${runtime}.slots.${n}`));
      t.equal(await remote.call({ ...usual, connections: 3 }, "flood", RESERVATIONS, many, 40), 40);
      t.ok(proxy.mostConnections >= 1 && proxy.mostConnections <= 3, `${proxy.mostConnections} connections`);
    });

    t.test("a call whose turn has not come was not sent", async (t) => {
      proxy.on({ method: "POST", effect: { kind: "hang" } });
      const before = proxy.counted(/POST/);
      const one = { ...usual, connections: 1 };
      const first = remote.call(one, "create", RESERVATIONS, reservation(`${runtime}.turn.1`));
      while (proxy.counted(/POST/) === before) await sleep(5);
      const second = remote.call(one, "create", RESERVATIONS, reservation(`${runtime}.turn.2`));
      for (const call of [second, first]) call.abort();
      const failures = await Promise.all([first, second].map((call) => call.catch((error) => error)));
      t.match(failures, [{ isUnclear: true }, { isUnclear: false, message: "the caller gave up" }]);
      t.equal(proxy.counted(/POST/) - before, 1);
    });

    t.test("a proxy of the environment is not used", async (t) => {
      const proxied = new Remote(runtime, { HTTPS_PROXY: "http://127.0.0.1:9", https_proxy: "http://127.0.0.1:9" });
      t.teardown(() => proxied.stop());
      t.equal(await proxied.failure(usual, "create", RESERVATIONS, reservation(`${runtime}.env`)), undefined);
    });

    t.test("list() gets all pages", async (t) => {
      for (const n of [1, 2, 3, 4, 5]) await api.raw.apply(reservation(`${runtime}.page.${n}`, { page: runtime }));
      const before = proxy.counted(/GET over/);
      const selection = { labelSelector: `page=${runtime}` };
      const { items } = await remote.call({ ...usual, pageSize: 2 }, "list", RESERVATIONS, selection);
      t.equal(new Set(items.map((item: Json) => item.metadata.uid)).size, 5);
      t.equal(proxy.counted(/GET over/) - before, 3);
    });

    t.test("the service account of a pod is looked for where there is no kubeconfig", async (t) => {
      const failure = await remote.failure({}, "get", CONFIG_MAPS, "x");
      t.match(failure, { name: "ApiError", message: "cannot read the service account of this pod: " });
    });
  });

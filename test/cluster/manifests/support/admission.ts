import { readFileSync } from "node:fs";
import { join } from "node:path";
import { loadYaml } from "@kubernetes/client-node";
import type { Test } from "tap";
import { randomFrom } from "../../../../cli/random.ts";
import type { ApiServer } from "../../../../lab/cluster/api-server.ts";
import { installAdmission, installNads } from "../../../../lab/cluster/install.ts";
import { type Json, pathOf } from "../../../../lab/cluster/raw.ts";
import { seedsOf } from "../../../../lab/seed.ts";
import { until } from "../../../../lab/until.ts";
import { type Fate, fateOf, NETWORKS, selection, someNetworks, somePod, TEAMS } from "./labelled-pods.ts";
import { OPERATORS } from "./operator-pods.ts";

const DOCS = join(import.meta.dirname, "../../../../docs/rail-objects.md");
const MUTATING = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies";
/** Pods of a seed. A dry run takes 10 to 30 ms. */
const PODS = Number(process.env["RAILNET_ADMISSION_PODS"] ?? 100);

/** What the real API server makes of pods and networks, by server-side dry run. The policies are there. */
export async function testAdmission(t: Test, api: ApiServer): Promise<void> {
  const { raw } = api;
  await installNads(raw);
  for (const team of new Set(TEAMS))
    await raw.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: `team-${team ?? "x"}`.replace(".", "-"), labels: team === undefined ? {} : { team } } }); // biome-ignore format: one row
  const dryRun = async (object: Json, team = "ishikari") => {
    const namespace = `team-${team}`.replace(".", "-");
    const path = pathOf({ ...object, metadata: { ...object.metadata, namespace } }).replace(/\/[^/]*$/, "");
    const { status, body } = await raw.request("POST", `${path}?dryRun=All`, { body: object });
    return { status, body, says: [body.message, ...(body.details?.causes ?? []).map(({ message }: Json) => message)].join("; ") }; // biome-ignore format: one row
  };

  const network: Json = someNetworks(() => 0.1)[0];
  network.spec = {
    rails: [0, 1].map((n) => ({ name: `rail${n}`, pf: { names: [`e${n}`] }, vfs: 8, subnet: `10.0.${n}.0/24` })),
    pods: { namespaces: { matchLabels: { team: "ishikari" } }, allow: ["ips"] },
  };
  const pod = (labels: Json, annotations: Json = {}, spec: Json = {}): Json => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "x", labels, annotations },
    spec: { containers: [{ name: "main", image: "none" }], ...spec },
  });
  const all = pod({ "railnet.io/rails": "all" });

  await t.test(
    "a pod with the label, before any RailNetwork gives rails to pods, is refused and told why",
    async (t) => {
      await until("the label is known", async () => (await dryRun(all)).status === 403);
      t.match(await dryRun(all), { status: 403, says: /pods of namespace team-ishikari have rails of no RailNetwork: want a namespace that spec\.pods\.namespaces of one selects/ }); // biome-ignore format: one row
      t.equal((await dryRun(pod({}))).status, 201, "others are not looked at");
    },
  );

  const [documented, hand] = readFileSync(DOCS, "utf8").split(/^```yaml$/m).slice(1).map((text) => loadYaml<Json>(text.split(/^```$/m)[0]!)); // biome-ignore format: one row
  const withSets = { ...network, spec: { ...network.spec, sets: documented.spec.sets } };
  await raw.apply(withSets);

  await t.test("without manifests/admission.yaml, as before Kubernetes 1.36", async (t) => {
    const { annotations: _, ...metadata } = hand.metadata;
    const unnamed = async () => dryRun({ ...hand, metadata });
    await until("the RailNetwork is known", async () => (await unnamed()).status === 422);
    t.match(await unnamed(), { says: /want ishikari@rail0 in it/ }, "who names no network is told which");
    t.match(await dryRun(all), { status: 403, says: /before Kubernetes 1\.36, or without manifests\/admission\.yaml, leave the label out and write the annotation/ });
    const { status, says, body } = await dryRun(hand);
    t.equal(status, 201, says);
    t.same(seen(body), { networks: [{ name: "ishikari", interface: "rail0" }], limits: { trainer: { "railnet.io/rails": "1" } }, ipcLock: [] }, "the pod of docs/rail-objects.md is taken as it is");
  }); // biome-ignore format: rows

  if ((await raw.request("GET", MUTATING)).status === 404) return; // the rest is what the label brings
  await installAdmission(api);

  await raw.apply(network);
  await until("the RailNetwork is known", async () => (await dryRun(all)).status === 201);

  await t.test("the label brings networks and resources", async (t) => {
    const { body } = await dryRun(all);
    t.equal(body.metadata.annotations[NETWORKS], "ishikari-rail0@rail0,ishikari-rail1@rail1");
    t.same(body.spec.containers[0].resources.limits, { "railnet.io/rail0": "1", "railnet.io/rail1": "1" });
    t.same(body.spec.containers[0].resources.requests, { "railnet.io/rail0": "1", "railnet.io/rail1": "1" });
  });

  await t.test("what is written by hand before Kubernetes 1.36, as docs/rail-objects.md has it, is what the label brings", async (t) => {
    await raw.apply(withSets);
    await until("the sets are known", async () => (await dryRun(all)).body.metadata.annotations[NETWORKS] === "ishikari@rail0");
    const written = seen((await dryRun(hand)).body);
    const { annotations: _, ...metadata } = hand.metadata;
    const container = { ...hand.spec.containers[0], resources: {} };
    const labelled = { ...hand, metadata: { ...metadata, labels: { "railnet.io/rails": "all" } }, spec: { containers: [container] } };
    t.same(seen((await dryRun(labelled)).body), written);
    t.same(written.limits, { trainer: { "railnet.io/rails": "1" } });
    await raw.apply(network);
    await until("they are no more", async () => (await dryRun(all)).body.metadata.annotations[NETWORKS] !== "ishikari@rail0");
  }); // biome-ignore format: rows

  await t.test("a label that speaks of another RailNetwork brings no VF without a network", async (t) => {
    const asking = { containers: [{ name: "main", image: "none", resources: { limits: { "railnet.io/rail0": "1" } } }] };
    const refusal = { status: 422, says: /containers ask for railnet\.io\/rail0: 1, and annotation k8s\.v1\.cni\.cncf\.io\/networks names no network for that many/ };
    for (const team of ["ishikari", "none"]) {
      t.match(await dryRun(pod({ "railnet.io/network": "elsewhere" }, {}, asking), team), refusal, `by label, team ${team}`);
      t.match(await dryRun(pod({}, { "railnet.io/network": "elsewhere" }, asking), team), refusal, `by annotation, team ${team}`);
    }
    const named = pod({ "railnet.io/network": "elsewhere" }, { [NETWORKS]: "elsewhere-rail0" }, asking);
    t.equal((await dryRun(named)).status, 201, "with a network of that one it is not this one's");
  }); // biome-ignore format: rows

  for (const [i, made] of OPERATORS.entries())
    await t.test(`a pod of a template, as its operator makes it, is one like others (${i})`, async (t) => {
      const given = made(pod({ "railnet.io/rails": "all", "railnet.io/ipc-lock": "true" }, {}, { containers: ["main", "beside"].map((name) => ({ name, image: "none" })), initContainers: [{ name: "first", image: "none" }] }));
      const { status, says, body } = await dryRun(given);
      t.equal(status, 201, says);
      t.equal(body.metadata.annotations[NETWORKS], "ishikari-rail0@rail0,ishikari-rail1@rail1");
      t.match(body.metadata.labels, given.metadata.labels);
      const rails = { "railnet.io/rail0": "1", "railnet.io/rail1": "1" };
      t.same(body.spec.containers.map(({ resources }: Json) => resources.limits ?? {}), [rails, {}], "the main container's");
      t.same(body.spec.containers.map(({ securityContext }: Json) => securityContext?.capabilities), [{ add: ["IPC_LOCK"] }, undefined]);
      for (const part of ["env", "ports", "volumeMounts", "command"] as const) t.match(body.spec.containers[0], { [part]: given.spec.containers[0][part] });
      t.match(body.spec.initContainers, given.spec.initContainers, "init and sidecar containers are as they were");
    }); // biome-ignore format: rows

  const reference = { cniVersion: "1.0.0", type: "railnet-sriov", network: "ishikari", rail: "rail0" };
  const nad = (config: Json, resourceName = "railnet.io/rail0"): Json => ({
    apiVersion: "k8s.cni.cncf.io/v1",
    kind: "NetworkAttachmentDefinition",
    metadata: { name: "mine", annotations: { "k8s.v1.cni.cncf.io/resourceName": resourceName } },
    spec: { config: typeof config === "string" ? config : JSON.stringify(config) },
  });
  const refused: readonly (readonly [what: string, config: Json, says: RegExp, resource?: string, team?: string])[] = [
    ["trust", { ...reference, trust: "on" }, /spec\.config says trust, which RailNetwork ishikari does not allow: leave it out \(it allows ips\)/],
    ["a key in capitals", { ...reference, VLAN: 7 }, /says vlan, which/],
    ["an escaped key", '{"type":"railnet-sriov","network":"ishikari","rail":"rail0","tr\\u0075st":"on"}', /says tr\\u0075st, which/],
    ["a device", { ...reference, deviceID: "0000:a0:02.0" }, /says deviceid, which/],
    ["addresses of its own", { ...reference, ipam: { type: "railnet-ipam", range: "10.0.0.0/8" } }, /says ipam, range, which/],
    ["a chained plugin's setting", { cniVersion: "1.0.0", plugins: [reference, { type: "tuning", mac: "02:00:00:00:00:01" }] }, /says mac, which/],
    ["VFs without reference", { type: "railnet-sriov", rail: "ens1f0np0" }, /does not refer to it: want spec\.config: \{"cniVersion"/],
    ["VFs for another plugin", { type: "sriov", vlan: 7 }, /VFs of railnet\.io\/rail0 are given by RailNetwork ishikari/],
    ["an escaped type", '{"type":"railnet\\u002dsriov","rail":"x"}', /does not refer to it/],
    ["two references", { ...reference, plugins: [{ ...reference, network: "other" }] }, /does not refer to it/],
    ["an unknown rail", { ...reference, rail: "rail9" }, /has rail rail9: want one of rail0, rail1/],
    ["another rail's resource", reference, /resourceName: railnet\.io\/rail1: want railnet\.io\/rail0/, "railnet.io/rail1"],
    ["no resource", reference, /resourceName: \(missing\): want railnet\.io\/rail0/, ""],
    ["a namespace without the right", reference, /pods of namespace team-none may not have rails of RailNetwork ishikari/, "railnet.io/rail0", "none"],
  ]; // biome-ignore format: rows
  await t.test("networks that somebody wrote", async (t) => {
    for (const config of [reference, { ...reference, ips: ["10.0.0.9/24"] }, { ...reference, capabilities: { ips: true } }])
      t.equal((await dryRun(nad(config))).status, 201, JSON.stringify(config));
    t.equal((await dryRun(nad({ type: "railnet-sriov", vlan: 7 }, "other.io/x"))).status, 201, "not of this RailNetwork");
    t.equal((await dryRun(nad({ type: "macvlan", master: "eth0" }, ""))).status, 201, "of another plugin");
    for (const [what, config, says, resource, team] of refused) {
      const answer = await dryRun(nad(config, resource), team);
      t.match([answer.status >= 400, answer.says], [true, says], what);
    }
  }); // biome-ignore format: rows

  await t.test("an annotation that is changed later is looked at again, and nothing else of a pod", async (t) => {
    const path = "/api/v1/namespaces/team-ishikari/pods/kept";
    await raw.apply({ ...all, metadata: { ...all.metadata, name: "kept", namespace: "team-ishikari" } });
    const change = (metadata: Json) =>
      raw.request("PATCH", path, { body: { metadata }, contentType: "application/merge-patch+json" });
    const twice = "ishikari-rail0,ishikari-rail0,ishikari-rail1";
    t.match(await change({ annotations: { [NETWORKS]: twice } }), { status: 422, body: { message: /names ishikari-rail0 \(2\).*want limits: railnet\.io\/rail0: 2/ } });
    await raw.merge("/api/v1/namespaces/team-ishikari", { metadata: { labels: { team: "none" } } });
    const losing = async () => (await dryRun(pod({}, { [NETWORKS]: "ishikari-rail0" }))).status === 403;
    await until("the namespace has lost its right", losing);
    t.equal((await change({ labels: { a: "b" } })).status, 200, "pods of a namespace that lost its right can be changed");
    await raw.merge("/api/v1/namespaces/team-ishikari", { metadata: { labels: { team: "ishikari" } } });
    await until("it has it again", async () => (await dryRun(all)).status === 201);
    await raw.delete(path);
  }); // biome-ignore format: rows

  await t.test("the largest pod is within the limits of cost", async (t) => {
    const rails = Array.from({ length: 16 }, (_, n) => ({ name: `rail${n}`, pf: { names: [`e${n}`] }, vfs: 8, subnet: `10.0.${n}.0/24` })); // biome-ignore format: one row
    await raw.apply({ ...network, spec: { ...network.spec, rails } });
    await until("16 rails are known", async () => (await dryRun(all)).body.metadata.annotations?.[NETWORKS].includes("rail15")); // biome-ignore format: one row
    const containers = Array.from({ length: 60 }, (_, n) => ({ name: `c${n}`, image: "none", resources: { limits: { cpu: "1" } } })); // biome-ignore format: one row
    const strangers = Array.from({ length: 100 }, (_, n) => ({ name: `other-${n}`, namespace: "elsewhere", interface: `i${n}` })); // biome-ignore format: one row
    for (const given of [strangers.map(({ name }) => name).join(), JSON.stringify(strangers)]) {
      const { status, body, says } = await dryRun(pod({ "railnet.io/rails": "all", "railnet.io/ipc-lock": "true" }, { [NETWORKS]: given }, { containers })); // biome-ignore format: one row
      t.equal(status, 201, says);
      t.equal(selection(body.metadata?.annotations?.[NETWORKS])?.length, 116);
    }
  });

  for (const seed of seedsOf(1))
    await t.test(`${PODS} random pods become what is expected, and stay so when looked at again: seed ${seed}`, async (t) => {
      const random = randomFrom(seed);
      const networks = someNetworks(random);
      for (const one of networks) await raw.request("DELETE", pathOf(one));
      for (const one of networks) await raw.apply(one);
      const known = (one: Json) => async () => {
        const { body } = await dryRun(pod({ "railnet.io/rails": "all", "railnet.io/network": one.metadata.name }), one.metadata.name);
        const names = selection(body.metadata?.annotations?.[NETWORKS])?.map(({ name }) => name);
        const want = one.spec.sets ? [one.metadata.name] : one.spec.rails.map(({ name }: Json) => `${one.metadata.name}-${name}`);
        return names?.join() === want.join();
      };
      for (const one of networks) await until("a RailNetwork is known as it is now", known(one));
      const fates = new Map<string, number>();
      for (let i = 0; i < PODS; i++) {
        const team = TEAMS[Math.floor(random() * TEAMS.length)];
        const given = somePod(random, networks);
        const want = fateOf(given, networks, team);
        const { body, status, says } = await dryRun(given, team ?? "x");
        const kind = want.refused?.[0] ?? "taken";
        fates.set(kind, (fates.get(kind) ?? 0) + 1);
        const about = { seed, i, team, given, want, says, networks };
        if (want.refused) t.match([status >= 400, says], [true, new RegExp(want.refused.join("|"))], `${i}: ${want.refused}`, about);
        else if (!t.equal(status, 201, `${i}: taken`, about)) continue;
        else {
          t.same(seen(body), JSON.parse(JSON.stringify(want)), `${i}: as expected`, about);
          const { metadata, spec } = body;
          const again = await dryRun({ ...given, metadata: { name: "x", labels: metadata.labels, annotations: metadata.annotations }, spec }, team ?? "x");
          t.same(again.body.spec, spec, `${i}: looked at again, it is the same`);
          t.same(again.body.metadata?.annotations, metadata.annotations);
        }
      }
      t.comment([...fates].map(([kind, count]) => `${kind}: ${count}`).join("; "));
    }); // biome-ignore format: rows
}

/** What became of a pod, as the server says. */
function seen({ metadata, spec }: Json): Fate {
  const running = [...spec.containers, ...(spec.initContainers ?? []).filter((one: Json) => one.restartPolicy === "Always")]; // biome-ignore format: one row
  const locked = spec.containers.filter(({ securityContext }: Json) => securityContext?.capabilities?.add?.includes("IPC_LOCK")); // biome-ignore format: one row
  return JSON.parse(
    JSON.stringify({
      networks: selection(metadata.annotations?.[NETWORKS]),
      limits: Object.fromEntries(running.map(({ name, resources }: Json) => [name, resources?.limits ?? {}])),
      ipcLock: locked.map(({ name }: Json) => name),
    }),
  );
}

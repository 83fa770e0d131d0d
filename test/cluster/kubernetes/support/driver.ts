// Drives the product's Cluster in a process of its own, under Node or Bun: requests and replies are lines of JSON.
import { createInterface } from "node:readline";
import { type ConnectOptions, connect } from "../../../../ipam/connect.ts";
import type { Cluster, KubeObject, Resource, Selection } from "../../../../kubernetes/cluster.ts";
import { Informer } from "../../../../kubernetes/informer.ts";
import type { Order, Said } from "./remote.ts";

const clusters = new Map<string, Promise<Cluster>>();
const controllers = new Map<number, AbortController>();

const say = (said: Said): void => void process.stdout.write(`${JSON.stringify(said)}\n`);

function clusterOf(options: ConnectOptions): Promise<Cluster> {
  const key = JSON.stringify(options);
  const known = clusters.get(key) ?? connect(options);
  clusters.set(key, known);
  return known;
}

async function obey({ id, connect: options, method, args }: Order): Promise<unknown> {
  const controller = new AbortController();
  controllers.set(id, controller);
  const { signal } = controller;
  const cluster = await clusterOf(options);
  if (method === "flood") return flood(cluster, args as [Resource, KubeObject[], number]);
  if (method === "watch")
    return watch(cluster, id, signal, args as [Resource, Selection & { resourceVersion: string }]);
  if (method === "follow") return follow(cluster, id, signal, args as [Resource, Selection]);
  // The last argument of every method is an object that may hold a signal; of delete() the fourth.
  const at = { create: 2, get: 2, list: 1, patch: 3, mergePatch: 3, replace: 2, delete: 3 }[method]!;
  const all = Array.from({ length: at + 1 }, (_, i) => args[i] ?? undefined);
  all[at] = { ...(all[at] as object), signal };
  return (cluster as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>)[method]!(...all);
}

async function watch(
  cluster: Cluster,
  id: number,
  signal: AbortSignal,
  [resource, from]: [Resource, Selection & { resourceVersion: string }],
) {
  for await (const { type, object } of cluster.watch(resource, { ...from, signal }))
    say({ id, event: { type, object } });
}

async function follow(cluster: Cluster, id: number, signal: AbortSignal, [resource, selection]: [Resource, Selection]) {
  const informer = Informer.start(cluster, resource, {
    ...selection,
    signal,
    onChange: (type, object) => say({ id, event: { type, object } }),
    onError: ({ message }) => say({ id, event: { type: "ERROR", message } }),
  });
  await informer.synced;
  say({ id, event: { type: "SYNCED", names: [...informer.objects.keys()] } });
  await new Promise((resolve) => signal.addEventListener("abort", resolve));
  return [...informer.objects].map(([name, { metadata }]) => [name, metadata.uid]);
}

/** Creates objects, `inFlight` at once. */
async function flood(cluster: Cluster, [resource, objects, inFlight]: [Resource, KubeObject[], number]) {
  const left = [...objects];
  const one = async () => {
    for (let next = left.pop(); next; next = left.pop()) await cluster.create(resource, next);
  };
  await Promise.all(Array.from({ length: inFlight }, one));
  return objects.length;
}

for await (const line of createInterface({ input: process.stdin })) {
  const order: Order = JSON.parse(line);
  if (order.method === "abort") controllers.get(order.id)?.abort();
  else
    obey(order).then(
      (value) => say({ id: order.id, value }),
      ({ name, message, status, reason, isUnclear }) =>
        say({ id: order.id, error: { name, message, status, reason, isUnclear } }),
    );
}

// Cables at random in a mesh of nodes: routes are always those that the cables allow, whatever broke before or at the same time.
// RAILNET_MESH_NODES, RAILNET_MESH_STEPS and RAILNET_MESH_REST_SECONDS make it large and long (npm run soak).
import t from "tap";
import { randomFrom } from "../../cli/random.ts";
import { Mesh, type MeshNode } from "../../lab/netns/mesh.ts";
import { pause } from "../../lab/netns/run.ts";
import { howToKeep, seedsOf } from "../../lab/seed.ts";
import { until } from "../../lab/until.ts";

const NODES = Number(process.env["RAILNET_MESH_NODES"] ?? 3);
const STEPS = Number(process.env["RAILNET_MESH_STEPS"] ?? 5);
const REST_SECONDS = Number(process.env["RAILNET_MESH_REST_SECONDS"] ?? 0);
const RAILS = [1, 2, 3, 4];

const mesh = await Mesh.create(NODES);
t.teardown(() => mesh.close());
await mesh.start();

/** Places that are broken, `node rail`, and how. */
const broken = new Map<string, "pulled" | "silent">();
const isWhole = (node: MeshNode, rail: number) => !broken.has(`${node.n} ${rail}`);

/** A node's routes by destination, as ip(8) has them. */
async function routes({ netns }: MeshNode): Promise<Map<string, string>> {
  const all = (await netns.show("route", "show", "protocol", "94")) as { dst: string; dev?: string; nexthops?: { dev: string }[] }[]; // biome-ignore format: one row
  return new Map(all.map(({ dst, dev = "", nexthops = [{ dev }] }) => [dst, nexthops.map(({ dev }) => dev).sort().join(" ")])); // biome-ignore format: one row
}

/** What is not as the cables allow. */
async function wrong(from: MeshNode): Promise<string[]> {
  const found = await routes(from);
  return mesh.nodes.flatMap((to) => {
    const want = RAILS.filter((rail) => isWhole(from, rail) && isWhole(to, rail)).map((rail) => `r${rail}`).join(" "); // biome-ignore format: one row
    const is = found.get(to.primary) ?? "";
    return to === from || is === want ? [] : [`${from.n} to ${to.n} by "${is}", not "${want}"`];
  });
}

/** One node after the other: each is looked at until it is right. */
async function settled(): Promise<number> {
  const start = performance.now();
  for (const node of mesh.nodes) await until(`node ${node.n}`, () => wrong(node), (all) => all.length === 0); // biome-ignore format: one row
  return performance.now() - start;
}

async function step(random: () => number): Promise<string> {
  const any = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const mend = broken.size > 0 && random() < broken.size / 4;
  const place = mend ? any([...broken.keys()]) : `${any(mesh.nodes).n} ${any(RAILS)}`;
  const [n, rail] = place.split(" ").map(Number) as [number, number];
  const was = broken.get(place);
  const how = was ?? any(["pulled", "silent"] as const);
  if (how === "pulled") await mesh.pull(n, rail, was !== undefined);
  else await mesh.silence(n, rail, was !== undefined);
  if (was) broken.delete(place);
  else broken.set(place, how);
  return `${was ? "whole" : how}: rail ${rail} of node ${n}`;
}

for (const seed of seedsOf(1))
  t.test(`routes are as the cables allow after each of ${STEPS} random steps, seed ${seed}`, async (t) => {
    await settled();
    const random = randomFrom(seed);
    const steps: string[] = [];
    try {
      for (let i = 0; i < STEPS; i++) {
        steps.push(await step(random));
        const ms = await settled();
        t.comment(`${steps.at(-1)}: ${Math.round(ms)} ms`);
      }
    } catch (error) {
      t.fail(`${(error as Error).message}\n${steps.join("\n")}\n${howToKeep(seed)}`);
    }
    for (const place of broken.keys()) {
      const [n, rail] = place.split(" ").map(Number) as [number, number];
      if (broken.get(place) === "pulled") await mesh.pull(n, rail, true);
      else await mesh.silence(n, rail, true);
    }
    broken.clear();
    await settled();
    t.pass("all is whole again");
  });

t.test(`no route changes in ${REST_SECONDS} seconds at rest`, async (t) => {
  await settled();
  const changes = () => Promise.all(mesh.nodes.map(async (node) => (await node.report()).changes));
  const before = await changes();
  await pause(REST_SECONDS * 1000);
  if (REST_SECONDS > 0) t.same(await changes(), before);
  await settled();
});

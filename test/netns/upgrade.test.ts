import { execFileSync } from "node:child_process";
import { copyFileSync, linkSync, mkdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import t from "tap";
import type { Agent } from "../../lab/netns/agent.ts";
import { cniEnv, type Reply, type Verb, withReply } from "../../lab/netns/call.ts";
import { start } from "../../lab/netns/run.ts";
import { unchanged } from "../../lab/netns/unchanged.ts";
import { World } from "../../lab/netns/world.ts";
import { until } from "../../lab/until.ts";

t.setTimeout(600_000);
const project = resolve(import.meta.dirname, "../..");
const world = await World.create({ vfs: 2 });
t.teardown(() => world.close());
const pods = await Promise.all(world.vfs.map(() => world.pod()));

/** The node's root, where the agents install; the shims there are compiled for it. */
const root = join(world.dir, "node");
const plugins = join(root, "opt/cni/bin");

/** Two versions that both work: the shims have another patience, the full executables are with faults and without. */
const versions = ["test/railnet", "railnet"].map((railnet, i) => {
  const from = join(world.dir, `version${i}`);
  mkdirSync(from);
  const paths = {
    SOCKET: join(world.runDir, "agent.sock"),
    EXEC_LOCK: join(world.runDir, "exec.lock"),
    BINARY: join(root, "opt/railnet/bin/railnet"),
  };
  const macros = Object.entries(paths).map(([key, path]) => `-DRAILNET_${key}="${path}"`);
  const arch = process.arch === "arm64" ? "aarch64" : "x86_64";
  execFileSync(join(project, "cni/shim/build.sh"), [from, arch], {
    env: { ...process.env, CFLAGS: [...macros, `-DRAILNET_REFUSED_MS=${5000 + i}`].join(" ") },
  });
  linkOrCopy(join(project, "dist", railnet), join(from, "railnet"));
  return from;
}) as [string, string];

const begin = (version: string): Agent => world.startAgent(9808, {}, ["--install", "--root", root, "--from", version]);

/** As a runtime calls what is installed at that moment. */
function call(verb: Verb, i: number, id: string): Promise<Reply> {
  const { pci: deviceID } = world.vfs[i]!;
  const a = world.attachment(pods[i]!, { deviceID, ipam: { type: "railnet-ipam", range: `10.${i}.0.0/24` } }, { id });
  const env = { ...world.env, ...cniEnv(verb, a, plugins) };
  return withReply(
    start(...world.host.enter(join(plugins, "railnet-sriov")), { env, stdin: JSON.stringify(a.config) }),
  );
}

t.test("agents follow one another under load, each installing its version: no ADD and no DEL fails", (t) =>
  unchanged(t, world, "alone", async () => {
    let agent = await begin(versions[0]).ready();
    let isOver = false;
    const failures: string[] = [];
    const calls = world.vfs.map(() => 0);
    const load = world.vfs.map(async (_, i) => {
      while (!isOver) {
        for (const verb of ["ADD", "DEL"] as const) {
          const { exit, stdout, stderr } = await call(verb, i, `load${i}-${calls[i]! >> 1}`);
          if (exit !== 0) failures.push(`${verb}: ${stdout}${stderr}`);
          calls[i]!++;
        }
      }
    });
    for (const version of [versions[1], versions[0], versions[1]]) {
      const before = [...calls];
      await until("every VF is busy", () => calls.every((n, i) => n > before[i]! + 2));
      const next = begin(version);
      await until("the next one waits", () => next.log.includes("another agent runs on this node"));
      t.match(await agent.end(), { exit: 0, signal: null });
      agent = await next.ready();
      t.ok(readFileSync(join(plugins, "railnet-sriov")).equals(readFileSync(join(version, "railnet-shim"))));
      t.ok(readFileSync(join(root, "opt/railnet/bin/railnet")).equals(readFileSync(join(version, "railnet"))));
    }
    const before = [...calls];
    await until("the last one serves every VF", () => calls.every((n, i) => n > before[i]! + 2));
    isOver = true;
    await Promise.all(load);
    t.same(failures, []);
    t.comment(`${calls.reduce((sum, n) => sum + n)} calls`);
    await agent.end();
  }),
);

function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to); // another file system
  }
}

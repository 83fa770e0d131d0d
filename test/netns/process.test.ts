// Numbers are those of the checklist in test/cni/protocol/README.md.
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import t from "tap";
import { type CallOptions, WAYS } from "../../lab/netns/call.ts";
import { inside } from "../../lab/netns/inside.ts";
import { unchanged } from "../../lab/netns/unchanged.ts";
import { World } from "../../lab/netns/world.ts";

const world = await World.create();
t.teardown(() => world.close());
const pod = await world.pod();

// A link has its queueing discipline from its first start on, and keeps it until it moves, which one VF here does not.
const last = world.vfs.at(-1)!;
await world.host.batch([`link set ${last.netdev} up`, `link set ${last.netdev} down`]);

const shimSupport = resolve(import.meta.dirname, "../cni/shim/support");
const chrootExec = join(world.dir, "chroot-exec");
execFileSync("gcc", ["-static", "-O1", "-o", chrootExec, join(shimSupport, "chroot-exec.c")]);
const thickRoot = join(world.dir, "thick");
mkdirSync(thickRoot);
const gone = join(world.dir, "gone");

interface Row {
  readonly when: string;
  readonly options?: CallOptions;
  readonly env?: Readonly<Record<string, string>>;
  readonly config?: object;
}

const shell = (script: string): CallOptions => ({ wrap: ["sh", "-c", `${script}; exec "$0"`] });

/** Each time ADD puts an address into the pod, CHECK agrees, and DEL takes it out. */
const ROWS: readonly Row[] = [
  {
    when: "142: chrooted without a change of directory, as a thick Multus does it",
    options: { wrap: [join(shimSupport, "thick.sh"), thickRoot, chrootExec] },
  },
  { when: "142: in a directory that is gone", options: shell(`mkdir ${gone}; cd ${gone}; rmdir ${gone}`) },
  { when: "141: without HOME, PATH, TMPDIR and terminal", options: shell("unset PATH HOME TMPDIR LANG") },
  { when: "141: with a umask that takes all", options: shell("umask 777") },
  {
    when: "20-21, 144: with what containerd and Multus leave in the environment",
    env: {
      CNI_VERSION: "0.1.0",
      CNI_FOO: "x",
      TRACEPARENT: "00-1-2-01",
      LD_LIBRARY_PATH: "/opt/containerd/lib",
      KUBERNETES_SERVICE_HOST: "10.0.0.1",
    },
  },
  { when: "36: with 3 MB of configuration", config: { padding: "x".repeat(3_000_000) } },
  { when: "37: with stdin in two pieces", options: { secondHalfAfterMs: 300 } },
  { when: "16: with the longest IDs", env: { CNI_CONTAINERID: `a.b-c_${"d".repeat(250)}` } },
];

for (const via of WAYS) {
  for (const { when, options, env, config } of ROWS)
    t.test(`railnet-sriov ${when} (${via})`, (t) =>
      unchanged(t, world, via, async () => {
        const a = world.attachment(pod, { ...config }, { ...(env && { env }) });
        const added = await world.call(via, "ADD", a, options);
        t.match(added, { exit: 0, stderr: "", json: { ips: [{ address: "10.20.0.5/24" }] } }, added.stdout);
        t.same((await inside(pod)).addresses, ["10.20.0.5/24"]);
        const checked = { ...a, config: { ...a.config, prevResult: added.json } };
        for (const verb of ["CHECK", "DEL"] as const)
          t.match(await world.call(via, verb, checked, options), { exit: 0, stdout: "", stderr: "" }, verb);
      }),
    );

  t.test(`railnet-sriov 38: ADD and DEL with a closed stdin are error 5 or 6 (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      for (const verb of ["ADD", "DEL"] as const) {
        const { exit, stderr, json } = await world.call(via, verb, world.attachment(pod), shell("exec <&-"));
        t.match({ exit, stderr, code: `${json?.["code"]}` }, { exit: 1, stderr: "", code: /^[56]$/ });
      }
    }),
  );

  t.test(`railnet-sriov 19: ADD into its own namespace is error 8, unless CNI_NETNS_OVERRIDE says so (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const own = world.attachment(world.host, { deviceID: last.pci });
      t.match(await world.call(via, "ADD", own), { exit: 1, json: { code: 8, msg: "host's own" } });
      const env = { CNI_NETNS_OVERRIDE: "1" };
      t.match(await world.call(via, "ADD", { ...own, env }), { exit: 0, json: { interfaces: [{ name: "net1" }] } });
      t.same((await inside(world.host)).addresses, ["10.20.0.5/24"]);
      t.match(await world.call(via, "DEL", { ...own, env }), { exit: 0, stdout: "" });
    }),
  );
}

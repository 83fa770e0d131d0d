import t from "tap";
import { WAYS } from "../../lab/netns/call.ts";
import { inside } from "../../lab/netns/inside.ts";
import { picture, reusable, unchanged } from "../../lab/netns/unchanged.ts";
import { World } from "../../lab/netns/world.ts";

const world = await World.create({ env: { RAILNET_IPAM_TIMEOUT_MS: "1000" } });
t.teardown(() => world.close());
const pod = await world.pod();
const A = "10.20.0.5/24";

interface Row {
  readonly when: string;
  /** What the plugin does at ADD. */
  readonly does: string;
  readonly code: number;
  readonly says: readonly (string | RegExp)[];
}

const answer = (result: object) => `echo '${JSON.stringify({ cniVersion: "1.1.0", ...result })}'`;

const FAILURES: readonly Row[] = [
  {
    when: "fails with a code",
    does: `echo '{"cniVersion":"1.1.0","code":11,"msg":"pool is busy","details":"d"}'; exit 1`,
    code: 11,
    says: ["pool is busy"],
  },
  { when: "fails without a word", does: "exit 3", code: 100, says: ["fake-ipam"] },
  {
    when: "fails with words on stderr",
    does: "echo out of cheese >&2; exit 1",
    code: 100,
    says: ["fake-ipam", "out of cheese"],
  },
  {
    when: "fails with words on stdout",
    does: "echo out of cheese; exit 1",
    code: 6,
    says: ["fake-ipam", "out of cheese"],
  },
  { when: "is killed", does: "kill -9 $$", code: 100, says: ["fake-ipam", "SIGKILL"] },
  { when: "prints rubbish", does: "echo hello", code: 6, says: ["fake-ipam", 'unexpected "h" at line 1'] },
  { when: "prints nothing", does: "exit 0", code: 6, says: ["fake-ipam"] },
  { when: "prints null", does: "echo null", code: 6, says: ["fake-ipam"] },
  { when: "prints an array", does: "echo '[]'", code: 6, says: ["fake-ipam"] },
  { when: "gives no address", does: answer({ ips: [] }), code: 100, says: ["IPAM plugin returned missing IP config"] },
  {
    when: "gives an address without a length",
    does: answer({ ips: [{ address: "10.20.0.5" }] }),
    code: 6,
    says: ["10.20.0.5"],
  },
  {
    when: "gives an address with a leading zero",
    does: answer({ ips: [{ address: "10.20.0.05/24" }] }),
    code: 6,
    says: ["10.20.0.05"],
  },
  {
    when: "gives an address twice",
    does: answer({ ips: [{ address: A }, { address: A }] }),
    code: 100,
    says: [A, "already assigned"],
  },
  {
    when: "gives a gateway that is not on the link",
    does: answer({ ips: [{ address: A }], routes: [{ dst: "10.9.0.0/16", gw: "192.0.2.1" }] }),
    code: 100,
    says: ["10.9.0.0/16", "192.0.2.1"],
  },
  {
    when: "gives a route to nowhere",
    does: answer({ ips: [{ address: A }], routes: [{ dst: "x" }] }),
    code: 6,
    says: ['"x"'],
  },
  { when: "hangs", does: "sleep 1000", code: 11, says: ["fake-ipam", /1000 ms|1 s/] },
];

for (const via of WAYS) {
  for (const { when, does, code, says } of FAILURES)
    t.test(`ADD with an IPAM plugin that ${when} is error ${code}, and it is called to release (${via})`, (t) =>
      unchanged(t, world, via, async () => {
        world.ipam.on("ADD", does);
        const a = world.attachment(pod);
        const { exit, json, ms } = await world.call(via, "ADD", a);
        t.equal(exit, 1);
        t.equal(json?.["code"], code);
        for (const word of says) t.match(json?.["msg"], word);
        t.ok(ms < 10_000, "in good time");
        t.same(
          world.ipam.calls(),
          ["ADD", "DEL"].map((verb) => ({ verb, containerId: a.id, ifname: "net1" })),
        );
      }),
    );

  t.test(`ADD goes on to work for the next container (${via})`, (t) => reusable(t, world, via, async () => {}));

  t.test(`ADD passes configuration and environment to the IPAM plugin unchanged (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const stdin = `{"cniVersion":"1.0.0", "name" : "n","type":"railnet-sriov","deviceID":"${world.vfs[0]!.pci}",\n"ipam":{"type":"fake-ipam","x":[1.50]},"é":"ü"}\n`;
      const a = world.attachment(pod, {}, { env: { CNI_ARGS: "IgnoreUnknown=1;K8S_POD_NAME=p" } });
      t.equal((await world.call(via, "ADD", a, { stdin })).exit, 0);
      t.equal((await world.call(via, "DEL", a, { stdin: stdin.replace("fake-ipam", "other") })).exit, 0);
      for (const verb of ["ADD", "DEL"]) {
        const seen = world.ipam.last(verb)!;
        t.equal(seen.stdin, stdin, `stdin of ${verb}`);
        const env = Object.fromEntries(seen.env.split("\n").map((line) => line.split(/=(.*)/)));
        t.match(env, {
          CNI_COMMAND: verb,
          CNI_CONTAINERID: a.id,
          CNI_NETNS: pod.path,
          CNI_IFNAME: "net1",
          CNI_PATH: world.cniBin,
          CNI_ARGS: "IgnoreUnknown=1;K8S_POD_NAME=p",
        });
      }
    }),
  );

  for (const { when, result } of [
    { when: "of version 0.3.1", result: { cniVersion: "0.3.1", ips: [{ version: "4", address: A }] } },
    { when: "of version 0.2.0", result: { cniVersion: "0.2.0", ip4: { ip: A } } },
    { when: "without a version", result: { cniVersion: undefined, ips: [{ address: A }] } },
    {
      when: "with an interface of its own",
      result: { interfaces: [{ name: "x" }], ips: [{ address: A, interface: 3 }] },
    },
  ])
    t.test(`ADD takes an IPAM result ${when} (${via})`, (t) =>
      unchanged(t, world, via, async () => {
        world.ipam.gives(result);
        const a = world.attachment(pod);
        const { json } = await world.call(via, "ADD", a);
        t.match(json, { cniVersion: "1.1.0", interfaces: [{ name: "net1" }], ips: [{ address: A, interface: 0 }] });
        t.equal((json?.["interfaces"] as unknown[])?.length, 1);
        t.same((await inside(pod)).addresses, [A]);
        t.equal((await world.call(via, "DEL", a)).exit, 0);
      }),
    );

  t.test(`DEL with an IPAM plugin that fails gives the VF back, fails, and can be called again (${via})`, (t) =>
    reusable(t, world, via, async () => {
      const before = await picture(world);
      const a = world.attachment(pod);
      t.equal((await world.call(via, "ADD", a)).exit, 0);
      world.ipam.on("DEL", `echo '{"code":111,"msg":"the pool is away"}'; exit 1`);
      t.match(await world.call(via, "DEL", a), { exit: 1, json: { code: 111, msg: "the pool is away" } });
      t.same(await picture(world), before, "the VF is back");
      t.equal(world.records().length, 1, "the addresses are still on record");
      const other = world.attachment(pod, { ipam: {} });
      t.equal((await world.call(via, "ADD", other)).exit, 0, "another container gets the VF");
      world.ipam.on("DEL", "exit 0");
      t.equal((await world.call(via, "DEL", a)).exit, 0);
      t.equal((await inside(pod)).up, true, "the late DEL left the other container's VF alone");
      t.equal((await world.call(via, "DEL", other)).exit, 0);
      t.equal(world.ipam.calls("DEL").length, 2);
    }),
  );

  t.test(`DEL with an IPAM plugin that is gone gives the VF back and says so (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const before = await picture(world);
      const a = world.attachment(pod);
      t.equal((await world.call(via, "ADD", a)).exit, 0);
      const record = world.records();

      world.ipam.remove();
      const { exit, json } = await world.call(via, "DEL", a);
      t.equal(exit, 1);
      t.match(json?.["msg"], "fake-ipam");
      t.notMatch(json?.["msg"], /not found|no such file or directory/i, "containerd takes those words as success");
      t.same(await picture(world), before);
      t.same(world.records(), record);
      world.ipam.install();
      t.equal((await world.call(via, "DEL", a)).exit, 0);
    }),
  );
}

// Numbers are those of the checklist in test/cni/protocol/README.md.
import t from "tap";
import { type Attachment, type Reply, WAYS } from "../../lab/netns/call.ts";
import { inside } from "../../lab/netns/inside.ts";
import { unchanged } from "../../lab/netns/unchanged.ts";
import { World } from "../../lab/netns/world.ts";

const world = await World.create();
t.teardown(() => world.close());
const pod = await world.pod();
const elsewhere = await world.pod();

const CONFIG = {
  mac: "02:00:00:00:00:aa",
  mtu: 1400,
  sourceRules: { table: 99 },
  sysctl: { "net.ipv4.conf.IFNAME.accept_redirects": "0" },
};
const RESULT = {
  ips: [{ address: "10.20.0.5/24", gateway: "10.20.0.1" }, { address: "fd00:20::5/64" }],
  routes: [{ dst: "10.21.0.0/16" }],
};

interface Drift {
  readonly when: string;
  /** Lines for `ip -batch` in the pod, or a command. */
  readonly ip?: readonly string[];
  readonly command?: readonly string[];
  readonly says: readonly string[];
}

const DRIFTS: readonly Drift[] = [
  {
    when: "the link is renamed",
    ip: ["link set net1 down", "link set net1 name net9", "link set net9 up"],
    says: ["net9", "net1"],
  },
  { when: "the link is down", ip: ["link set net1 down"], says: ["down"] },
  {
    when: "the link is in another namespace",
    ip: [`link set net1 netns ${elsewhere.path}`],
    says: [world.vfs[0]!.pci, "not in the pod"],
  },
  {
    when: "the MAC is another",
    ip: ["link set net1 address 02:00:00:00:00:bb"],
    says: ["02:00:00:00:00:bb", "02:00:00:00:00:aa"],
  },
  { when: "the MTU is another", ip: ["link set net1 mtu 1300"], says: ["1300", "1400"] },
  { when: "an address is gone", ip: ["addr del 10.20.0.5/24 dev net1"], says: ["10.20.0.5/24"] },
  { when: "an IPv6 address is gone", ip: ["addr del fd00:20::5/64 dev net1"], says: ["fd00:20::5/64"] },
  {
    when: "an address has another length",
    ip: ["addr add 10.20.0.5/25 dev net1", "addr del 10.20.0.5/24 dev net1"],
    says: ["10.20.0.5/24"],
  },
  { when: "a route is gone", ip: ["route del 10.21.0.0/16 table main"], says: ["10.21.0.0/16"] },
  { when: "a route has another gateway", ip: ["route replace 10.21.0.0/16 via 10.20.0.9"], says: ["10.21.0.0/16"] },
  { when: "a route of the rail's table is gone", ip: ["route del default table 99"], says: ["0.0.0.0/0"] },
  { when: "a source rule is gone", ip: ["rule del from 10.20.0.5 table 99"], says: ["rule", "10.20.0.5"] },
  {
    when: "a sysctl is another",
    command: ["sysctl", "-qw", "net.ipv4.conf.net1.accept_redirects=1"],
    says: ["accept_redirects", "1", "0"],
  },
];

const withResult = (a: Attachment, { json }: Reply): Attachment => ({
  ...a,
  config: { ...a.config, prevResult: json },
});

for (const via of WAYS) {
  t.test(`CHECK 99, 102, 104: right after ADD is silent, and asks IPAM (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      world.ipam.gives(RESULT);
      const a = world.attachment(pod, CONFIG);
      const checked = withResult(a, await world.call(via, "ADD", a));
      const record = world.record();
      t.match(await world.call(via, "CHECK", checked), { exit: 0, stdout: "", stderr: "" });
      t.same(world.ipam.calls("CHECK"), [{ verb: "CHECK", containerId: a.id, ifname: "net1" }]);
      t.same(world.record(), record, "103: the record is as before");
      await pod.batch(["addr add 192.0.2.1/24 dev net1", "route add 192.0.2.128/25 dev net1"]);
      t.equal((await world.call(via, "CHECK", checked)).exit, 0, "100: additions of later plugins are fine");
      world.ipam.on("CHECK", `echo '{"code":120,"msg":"lease lost"}'; exit 1`);
      t.match(await world.call(via, "CHECK", checked), { exit: 1, json: { code: 120, msg: "lease lost" } });
      t.equal((await world.call(via, "DEL", checked)).exit, 0);
    }),
  );

  for (const { when, ip = [], command, says } of DRIFTS)
    t.test(`CHECK 100: when ${when} is error 106, and DEL works (${via})`, (t) =>
      unchanged(t, world, via, async () => {
        world.ipam.gives(RESULT);
        const a = world.attachment(pod, CONFIG);
        const empty = await inside(pod);
        const checked = withResult(a, await world.call(via, "ADD", a));
        if (ip.length > 0) await pod.batch(ip);
        if (command) await pod.exec(...command);
        const { exit, json } = await world.call(via, "CHECK", checked);
        t.match({ exit, code: json?.["code"] }, { exit: 1, code: 106 });
        for (const word of says) t.match(json?.["msg"], word);
        if (when.includes("another namespace")) await elsewhere.batch([`link set net1 netns ${pod.path}`]);
        t.match(await world.call(via, "DEL", checked), { exit: 0, stdout: "" });
        t.same(await inside(pod), empty, "the pod is as before");
      }),
    );

  t.test(`CHECK 98, 101: names what is wrong with prevResult (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const a = world.attachment(pod);
      const added = await world.call(via, "ADD", a);
      t.match(await world.call(via, "CHECK", a), { exit: 1, json: { code: 7, msg: "prevResult" } });
      const other = { ...added.json, interfaces: [{ name: "net2", sandbox: pod.path }] };
      const wrong = { ...a, config: { ...a.config, prevResult: other } };
      t.match(await world.call(via, "CHECK", wrong), { exit: 1, json: { code: 7, msg: "net1" } });
      t.equal((await world.call(via, "DEL", a)).exit, 0);
    }),
  );

  t.test(`CHECK of what was never added is error 3, and of a namespace that was made anew error 106 (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const a = world.attachment(pod);
      const added = await world.call(via, "ADD", a);
      const stranger = withResult({ ...a, id: "stranger" }, added);
      t.match(await world.call(via, "CHECK", stranger), { exit: 1, json: { code: 3, msg: "stranger" } });
      const moved = { ...a, netns: elsewhere.path };
      const sandbox = [{ name: "net1", sandbox: elsewhere.path }];
      moved.config = { ...a.config, prevResult: { ...added.json, interfaces: sandbox } };
      t.match(await world.call(via, "CHECK", moved), { exit: 1, json: { code: 106 } });
      t.equal((await world.call(via, "DEL", a)).exit, 0);
    }),
  );
}

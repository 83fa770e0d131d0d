// IPAM plugins of other processes: what they find in the pod, how many of them run, and the real dhcp.
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import t from "tap";
import { WAYS } from "../../lab/netns/call.ts";
import { inside } from "../../lab/netns/inside.ts";
import { type Running, start } from "../../lab/netns/run.ts";
import { unchanged } from "../../lab/netns/unchanged.ts";
import { World } from "../../lab/netns/world.ts";
import { until } from "../../lab/until.ts";

const PEERS = resolve(import.meta.dirname, "../../.cache/peers/bin");
const VFS = 10;

const world = await World.create({ vfs: VFS });
t.teardown(() => world.close());
const pod = await world.pod();
const seen = join(world.dir, "seen");

/** Writes down what ip(8) shows of the interface. */
const LOOK = `nsenter --net="$CNI_NETNS" ip -o addr show dev "$CNI_IFNAME" up 2>&1 | sed "s/^/$CNI_COMMAND /" >> ${seen}`;
const ANSWER = `echo '{"cniVersion":"1.1.0","ips":[{"address":"10.20.0.5/24"}]}'`;
const sightings = () => readFileSync(seen, "utf8").split("\n").filter(Boolean);

for (const via of WAYS) {
  t.test(`ADD asks a foreign IPAM plugin once the link is in the pod and up, DEL while it still is (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      writeFileSync(seen, "");
      world.ipam.on("ADD", `${LOOK}; ${ANSWER}`);
      world.ipam.on("DEL", LOOK);
      const a = world.attachment(pod, { sysctl: { "net.ipv6.conf.IFNAME.accept_ra": "0" } });
      const added = await world.call(via, "ADD", a);
      t.equal(added.exit, 0, added.stdout);
      t.notOk(
        sightings().some((line) => /^ADD .* inet /.test(line)),
        "without addresses",
      );
      t.notOk(sightings().some((line) => line.includes("does not exist")));
      t.equal((await world.call(via, "DEL", a)).exit, 0);
      t.ok(
        sightings().some((line) => /^DEL .* net1 +inet 10\.20\.0\.5\/24/.test(line)),
        sightings().join("\n"),
      );
      t.equal((await world.call(via, "DEL", a)).exit, 0, "and DEL of what is gone");
    }),
  );

  t.test(`ADD that fails later has a foreign IPAM plugin release before the link leaves (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      writeFileSync(seen, "");
      world.ipam.on("ADD", ANSWER);
      world.ipam.on("DEL", LOOK);
      world.faults("add-configured fail");
      const a = world.attachment(pod);
      t.equal((await world.call(via, "ADD", a)).exit, 1);
      t.ok(sightings().some((line) => line.includes("net1")) && !sightings().some((l) => l.includes("does not exist")));
    }),
  );

  t.test(`DEL brings the VF home though a foreign IPAM plugin fails, and releases at the next (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const a = world.attachment(pod);
      t.equal((await world.call(via, "ADD", a)).exit, 0);
      world.ipam.on("DEL", `echo '{"code":120,"msg":"no lease file"}'; exit 1`);
      t.match(await world.call(via, "DEL", a), { exit: 1, json: { code: 120 } });
      t.notOk((await inside(pod)).links.includes("net1"));
      world.ipam.on("DEL", "true");
      t.equal((await world.call(via, "DEL", a)).exit, 0);
    }),
  );

  t.test(`dhcp gives an address by the interface, and has it until DEL (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const dhcp = join(PEERS, "dhcp");
      t.ok(existsSync(dhcp));
      if (!existsSync(join(world.cniBin, "dhcp"))) symlinkSync(dhcp, join(world.cniBin, "dhcp"));
      const socket = join(world.dir, `dhcp-${via}.sock`);
      await world.host.batch([`addr add 10.50.0.1/24 dev ${world.vfs[0]!.netdev}p`]);
      const servers = [dhcpServer(via), start(...world.host.enter(dhcp, "daemon", "-socketpath", socket))];
      await until("the dhcp daemon listens", () => existsSync(socket));
      const a = world.attachment(pod, { ipam: { type: "dhcp", daemonSocketPath: socket } });
      const added = await world.call(via, "ADD", a);
      t.equal(added.exit, 0, added.stdout);
      t.match((await inside(pod)).addresses, [/^10\.50\.0\.\d+\/24$/]);
      t.match(added.json, { ips: [{ address: /^10\.50\.0\./, gateway: "10.50.0.1" }] });
      const deleted = await world.call(via, "DEL", a);
      t.equal(deleted.exit, 0, deleted.stdout);
      for (const server of servers) server.kill("SIGKILL");
      await Promise.all(servers);
      await world.host.batch([`addr del 10.50.0.1/24 dev ${world.vfs[0]!.netdev}p`]);
    }),
  );
}

t.test("the agent runs no more than eight foreign IPAM plugins at once (shim)", (t) =>
  unchanged(t, world, "shim", async () => {
    const dir = join(world.dir, "running");
    mkdirSync(dir);
    const most = join(world.dir, "most");
    world.ipam.on("ADD", `touch ${dir}/$$; ls ${dir} | wc -l >> ${most}; sleep 0.4; rm ${dir}/$$; ${ANSWER}`);
    const all = world.vfs.map((vf, i) => world.attachment(pod, { deviceID: vf.pci }, { ifname: `net${i}` }));
    const added = await Promise.all(all.map((a) => world.call("shim", "ADD", a)));
    t.same(
      added.map(({ exit }) => exit),
      all.map(() => 0),
      added.find(({ exit }) => exit !== 0)?.stdout ?? "all",
    );
    const counts = readFileSync(most, "utf8").split("\n").filter(Boolean).map(Number);
    t.ok(Math.max(...counts) <= 8, `${Math.max(...counts)} ran at once`);
    t.ok(Math.max(...counts) > 1, "not one after the other");
    const deleted = await Promise.all(all.map((a) => world.call("shim", "DEL", a)));
    t.same(
      deleted.map(({ exit }) => exit),
      all.map(() => 0),
    );
  }),
);

/** udhcpd at the switch port of the first VF. */
function dhcpServer(via: string): Running {
  const port = `${world.vfs[0]!.netdev}p`;
  const file = (name: string) => join(world.dir, `udhcpd-${via}.${name}`);
  writeFileSync(file("leases"), "");
  const lines = [
    "start 10.50.0.10",
    "end 10.50.0.20",
    `interface ${port}`,
    `lease_file ${file("leases")}`,
    `pidfile ${file("pid")}`,
  ];
  writeFileSync(
    file("conf"),
    [...lines, "option subnet 255.255.255.0", "option router 10.50.0.1", "option lease 600", ""].join("\n"),
  );
  return start(...world.host.enter("busybox", "udhcpd", "-f", file("conf")));
}

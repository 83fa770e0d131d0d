// Numbers are those of the checklist in test/cni/protocol/README.md.
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import t from "tap";
import { WAYS } from "../../lab/netns/call.ts";
import { VFIO } from "../../lab/netns/devices.ts";
import { inside } from "../../lab/netns/inside.ts";
import { start } from "../../lab/netns/run.ts";
import { unchanged } from "../../lab/netns/unchanged.ts";
import { World } from "../../lab/netns/world.ts";

const world = await World.create();
t.teardown(() => world.close());
const pod = await world.pod();
const [vf, second, third] = world.vfs;
const mac = String((await world.host.show("link", "show", vf!.netdev))[0]?.["address"]);
const RESULT = {
  ips: [
    { address: "10.20.0.5/24", gateway: "10.20.0.1" },
    { address: "fd00:20::5/64", gateway: "fd00:20::1" },
    { address: "10.20.0.6/24" },
  ],
  routes: [{ dst: "10.21.0.0/16" }, { dst: "fd00:21::/48", gw: "fd00:20::2" }],
};
const ours = { name: "net1", mac, sandbox: pod.path };
const routes = [{ dst: "10.21.0.0/16" }, { dst: "fd00:21::/48", gw: "fd00:20::2" }];
const [a4, a6, b4] = RESULT.ips.map((ip) => ({ ...ip, interface: 0 }));

const OLD = {
  ip4: { ip: "10.20.0.5/24", gateway: "10.20.0.1", routes: [{ dst: "10.21.0.0/16" }] },
  ip6: { ip: "fd00:20::5/64", gateway: "fd00:20::1", routes: [{ dst: "fd00:21::/48", gw: "fd00:20::2" }] },
  dns: {},
};
const MIDDLE = {
  interfaces: [ours],
  ips: [
    { version: "4", ...a4 },
    { version: "6", ...a6 },
    { version: "4", ...b4 },
  ],
  routes,
  dns: {},
};
const FORMS: Readonly<Record<string, object>> = {
  "0.1.0": OLD,
  "0.2.0": OLD,
  "0.3.0": MIDDLE,
  "0.3.1": MIDDLE,
  "0.4.0": MIDDLE,
  "1.0.0": { interfaces: [ours], ips: [a4, a6, b4], routes },
  "1.1.0": { interfaces: [{ ...ours, mtu: 1500, pciID: vf!.pci }], ips: [a4, a6, b4], routes },
};

for (const via of WAYS) {
  for (const [cniVersion, form] of Object.entries(FORMS))
    t.test(`ADD 45, 47: answers in version ${cniVersion} (${via})`, (t) =>
      unchanged(t, world, via, async () => {
        world.ipam.gives(RESULT);
        const a = world.attachment(pod, { cniVersion });
        const { exit, json, stderr } = await world.call(via, "ADD", a);
        t.match({ exit, stderr }, { exit: 0, stderr: "" });
        const { interfaces, ...rest } = json!;
        const { interfaces: wanted, ...others } = form as { interfaces?: object[] };
        t.same(rest, { cniVersion, ...others });
        t.match(interfaces, wanted ?? undefined); // members of later versions may stand in older ones
        t.same((await inside(pod)).addresses, ["10.20.0.5/24", "10.20.0.6/24", "fd00:20::5/64"]);
        t.equal((await world.call(via, "DEL", a)).exit, 0);
      }),
    );

  for (const cniVersion of ["0.1.0", "0.2.0"])
    t.test(`ADD 46: without an address cannot be said in ${cniVersion}, and is undone (${via})`, (t) =>
      unchanged(t, world, via, async () => {
        const { exit, json } = await world.call(via, "ADD", world.attachment(pod, { cniVersion, ipam: {} }));
        t.match({ exit, json }, { exit: 1, json: { code: 999, msg: "no valid IP addresses" } });
        t.same((await inside(pod)).links, ["lo"]);
      }),
    );

  t.test(`ADD 53: in a chain puts ours behind what is there (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const prevResult = {
        cniVersion: "1.0.0",
        interfaces: [{ name: "eth0", mac: "02:00:00:00:00:01", sandbox: pod.path }, { name: "veth1" }],
        ips: [{ address: "10.1.0.4/24", interface: 0 }],
        routes: [{ dst: "0.0.0.0/0", gw: "10.1.0.1" }],
        dns: { nameservers: ["10.0.0.1"] },
      };
      const a = world.attachment(pod, { cniVersion: "1.0.0", prevResult });
      const { json } = await world.call(via, "ADD", a);
      const checked = { ...a, config: { ...a.config, prevResult: json } };
      t.match(json, {
        cniVersion: "1.0.0",
        interfaces: [...prevResult.interfaces, ours],
        ips: [...prevResult.ips, { address: "10.20.0.5/24", gateway: "10.20.0.1", interface: 2 }],
        routes: prevResult.routes,
        dns: prevResult.dns,
      });
      t.match(await world.call(via, "CHECK", checked), { exit: 0, stdout: "" });
      t.equal((await world.call(via, "DEL", checked)).exit, 0);
    }),
  );

  t.test(`ADD 64: prints a result of more than 64 KiB whole (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const many = Array.from({ length: 2000 }, (_, i) => ({
        dst: `10.${100 + (i >> 8)}.${i & 255}.0/24`,
        gw: "10.20.0.1",
      }));
      world.ipam.gives({ ips: [{ address: "10.20.0.5/24" }], routes: many });
      const a = world.attachment(pod);
      const added = await world.call(via, "ADD", a);
      t.ok(added.stdout.length > 1 << 16, `${added.stdout.length} bytes`);
      t.same(added.json?.["routes"], many);
      t.equal((await inside(pod)).routes.length, 2001);
      const checked = { ...a, config: { ...a.config, prevResult: added.json } };
      t.match(await world.call(via, "CHECK", checked), { exit: 0, stdout: "" });
      t.equal((await world.call(via, "DEL", checked)).exit, 0);
    }),
  );

  t.test(`ADD writes the device-info file, DEL removes it (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const file = join(world.deviceInfoDir, "default-rail0-c1_net1");
      writeFileSync(file, '{"type":"pci"}', { mode: 0o444 }); // what the device plugin said
      const a = world.attachment(pod, { runtimeConfig: { CNIDeviceInfoFile: file } });
      t.equal((await world.call(via, "ADD", a)).exit, 0);
      t.same(JSON.parse(readFileSync(file, "utf8")), {
        type: "pci",
        version: "1.1.0",
        pci: { "pci-address": vf!.pci, "pf-pci-address": "0000:a0:00.0" },
      });
      t.equal(statSync(file).mode & 0o777, 0o444);
      t.same(readdirSync(world.deviceInfoDir), ["default-rail0-c1_net1"], "no temporary file");
      t.equal((await world.call(via, "DEL", a)).exit, 0);
    }),
  );

  t.test(`ADD of a VF that vfio-pci drives reserves addresses and touches no link (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const a = world.attachment(pod, { deviceID: VFIO });
      const added = await world.call(via, "ADD", a);
      t.match(added, {
        exit: 0,
        json: { interfaces: [{ name: "net1", sandbox: pod.path, pciID: VFIO }], ips: [{ address: "10.20.0.5/24" }] },
      });
      t.same((await inside(pod)).links, ["lo"]);
      t.match(await world.call(via, "ADD", world.attachment(pod, { deviceID: VFIO }, { ifname: "net2" })), {
        exit: 1,
        json: { code: 102, msg: a.id },
      });
      const checked = { ...a, config: { ...a.config, prevResult: added.json } };
      t.match(await world.call(via, "CHECK", checked), { exit: 0, stdout: "" });
      t.equal((await world.call(via, "DEL", a)).exit, 0);
    }),
  );

  t.test(`DEL gives a VF back that was up and had an alias, altnames and an MTU of its own (${via})`, async (t) => {
    const { netdev, pci: deviceID } = third!;
    const own = ["mtu 1450", "alias mine", "up"].map((s) => `link set ${netdev} ${s}`);
    await world.host.batch([...own, `link property add dev ${netdev} altname enp1 altname net1`]);
    await unchanged(t, world, via, async () => {
      const a = world.attachment(pod, { deviceID, mac: "02:00:00:00:00:aa", mtu: 1400 });
      t.equal((await world.call(via, "ADD", a)).exit, 0);
      t.match(await inside(pod), { mac: "02:00:00:00:00:aa", mtu: 1400, addresses: ["10.20.0.5/24"] });
      t.equal((await world.call(via, "DEL", a)).exit, 0);
    });
    await world.host.batch([`link property del dev ${netdev} altname enp1 altname net1`]);
  });

  t.test(`ADD with a duplicate-address probe that is answered is error 105 and names the owner (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      await world.host.batch([`addr add 10.20.0.5/24 dev ${vf!.netdev}p`]);
      const owner = String((await world.host.show("link", "show", `${vf!.netdev}p`))[0]?.["address"]);
      const { exit, json } = await world.call(via, "ADD", world.attachment(pod, { duplicateAddressProbe: true }));
      await world.host.batch([`addr del 10.20.0.5/24 dev ${vf!.netdev}p`]);
      t.match({ exit, code: json?.["code"] }, { exit: 1, code: 105 });
      for (const word of ["10.20.0.5", owner]) t.match(json?.["msg"], word);
    }),
  );

  t.test(`ADD with IPAM of type static runs no plugin (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const ipam = { type: "static", addresses: [{ address: "10.20.0.9/24", gateway: "10.20.0.1" }] };
      const a = world.attachment(pod, { ipam, deviceID: second!.pci });
      const added = await world.call(via, "ADD", a);
      t.match(added, { exit: 0, json: { ips: [{ address: "10.20.0.9/24", gateway: "10.20.0.1", interface: 0 }] } });
      const checked = { ...a, config: { ...a.config, prevResult: added.json } };
      t.match(await world.call(via, "CHECK", checked), { exit: 0, stdout: "" });
      t.equal((await world.call(via, "DEL", a)).exit, 0);
      t.same(world.ipam.calls(), []);
    }),
  );
}

/** What scripts/setup.sh builds of the CNI repository. */
const cnitool = resolve(".cache/peers/bin/cnitool");
t.test(
  "cnitool adds, checks, collects and deletes",
  { skip: existsSync(cnitool) ? false : "cnitool is not built: scripts/setup.sh peers" },
  (t) =>
    unchanged(t, world, "shim", async () => {
      const { ipam, deviceID } = world.attachment(pod).config;
      const plugins = [{ type: "railnet-sriov", ipam, deviceID, capabilities: { mac: true } }];
      const conf = join(world.dir, "10-rail0.conflist");
      writeFileSync(conf, JSON.stringify({ cniVersion: "1.1.0", name: "rail0-net", plugins }));
      const env = {
        NETCONFPATH: world.dir,
        CNI_PATH: world.cniBin,
        CNI_IFNAME: "net1",
        CAP_ARGS: '{"mac":"02:00:00:00:00:aa"}',
      };
      const run = (verb: string) => start(...world.host.enter(cnitool, verb, "rail0-net", pod.path), { env });
      const added = await run("add");
      t.equal(added.exit, 0, added.stderr);
      t.match(JSON.parse(added.stdout), {
        cniVersion: "1.1.0",
        interfaces: [{ name: "net1", mac: "02:00:00:00:00:aa" }],
      });
      t.match(await inside(pod), { mac: "02:00:00:00:00:aa", addresses: ["10.20.0.5/24"] });
      for (const verb of ["check", "status", "gc", "del", "del"]) {
        const { exit, stderr } = await run(verb);
        t.equal(exit, 0, `${verb}: ${stderr}`);
      }
    }),
);

// What manifests/host says to Debian's own udev and systemd-networkd, and what railnet doctor reads of what they keep.
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import t from "tap";
import { start } from "../../lab/netns/run.ts";
import { World } from "../../lab/netns/world.ts";
import { until } from "../../lab/until.ts";

const MANIFESTS = resolve("manifests/host");
/** A file of a host that configures whatever is Ethernet, and one that gives every link a MAC. */
const CATCH_ALL = "[Match]\nType=ether\n\n[Network]\nAddress=10.99.0.1/24\nLinkLocalAddressing=no\n";
const NET_ADDR_RANDOM = "1\n";
const NET_ADDR_SET = "3\n";

t.setTimeout(600_000);
const world = await World.create({ vfs: 1 });
t.teardown(() => world.close());
const [{ pci, netdev: vf }] = world.vfs as [(typeof world.vfs)[0]];
const PF = "rail0";
const dirOf = (netdev: string) => join(world.sysfs.root, "class/net", netdev);
const show = async (netdev: string) => (await world.host.show("-d", "link", "show", netdev))[0]!;

/** The rest of what udev wants of sysfs. */
for (const netdev of [PF, vf]) {
  const { ifindex } = await show(netdev);
  for (const [file, text] of Object.entries({ uevent: `INTERFACE=${netdev}\nIFINDEX=${ifindex}\n`, ifindex: `${ifindex}\n`, type: "1\n", name_assign_type: "4\n", addr_assign_type: NET_ADDR_RANDOM })) writeFileSync(join(dirOf(netdev), file), text); // biome-ignore format: one row
  symlinkSync("../../../../../class/net", join(dirOf(netdev), "subsystem"));
}

/** @returns udev's and networkd's log; `root` has the `run` that they filled, and the `.link` files that udev followed. */
async function manage(files: readonly string[]): Promise<{ root: string; log: string }> {
  const root = mkdtempSync(join(world.dir, "managed-"));
  const [network, rules] = ["etc/systemd/network", "etc/udev/rules.d"];
  for (const dir of [network, rules]) mkdirSync(join(root, dir), { recursive: true });
  writeFileSync(join(root, network, "50-all.network"), CATCH_ALL);
  for (const file of files)
    copyFileSync(join(MANIFESTS, file), join(root, file.endsWith(".rules") ? rules : network, file));
  const [ready, done] = [join(root, "ready"), join(root, "done")];
  const managing = start(
    ...world.host.enter(resolve("lab/netns/managers.sh"), world.sysfs.root, root, ready, done, PF, vf),
  );
  let ended = false;
  void managing.then(() => (ended = true));
  await until("udev and networkd have done their work", () => ended || existsSync(ready));
  writeFileSync(done, "");
  const log = readFileSync(`${ready}.log`, "utf8");
  if (!existsSync(ready)) throw new Error(log);
  await managing;
  symlinkSync("ready.run", join(root, "run"));
  mkdirSync(join(root, "usr/lib/systemd"), { recursive: true });
  symlinkSync("/usr/lib/systemd/network", join(root, "usr/lib/systemd/network"));
  return { root, log };
}

async function doctor(root: string): Promise<string[]> {
  const { stdout } = await world.railnet("doctor", "--json", "--root", root);
  const all = JSON.parse(stdout) as { check: string; is: string; says: string }[];
  return all.filter(({ check }) => check === "VFs' managers").map(({ is, says }) => `${is} ${says}`);
}

const stateOf = async (root: string, netdev: string) =>
  /^ADMIN_STATE=(.*)$/m.exec(
    readFileSync(join(root, "run/systemd/netif/links", String((await show(netdev)).ifindex)), "utf8"),
  )![1]!;
const udevOf = async (root: string, netdev: string) =>
  readFileSync(join(root, "run/udev/data", `n${(await show(netdev)).ifindex}`), "utf8");

t.test("without the files udev gives a VF a MAC and networkd an address, and railnet doctor says so", async (t) => {
  const before = await show(vf);
  const { root } = await manage([]);
  t.match(await stateOf(root, vf), /^configur/);
  t.not((await show(vf)).address, before.address, "99-default.link");
  for (const netdev of [PF, vf]) await world.host.ip("address", "flush", "dev", netdev);
  await world.host.ip("link", "set", vf, "down", "address", String(before.address));
  writeFileSync(join(dirOf(vf), "addr_assign_type"), NET_ADDR_SET);
  const found = await doctor(root);
  writeFileSync(join(dirOf(vf), "addr_assign_type"), NET_ADDR_RANDOM);
  t.match(found, [
    `wrong systemd-networkd configures VF ${vf}: install the files of manifests/host`,
    `note udev gave VF ${vf} its MAC or MTU: install the files of manifests/host`,
  ].map((says) => new RegExp(`^${says}`))); // biome-ignore format: rows
});

t.test("with the files both leave a VF as it is, and configure the PF as before", async (t) => {
  const files = readdirSync(MANIFESTS).filter((file) => file !== "README.md");
  t.same(files, ["10-railnet-vf.link", "10-railnet-vf.network", "70-railnet-vf.rules"]);
  const before = await show(vf);
  const { root, log } = await manage(files);
  t.same(await show(vf), before, "not a bit of it");
  t.same([await stateOf(root, vf), /^configur/.test(await stateOf(root, PF))], ["unmanaged", true]);
  t.match(await udevOf(root, vf), /^E:ID_NET_LINK_FILE=\/etc\/systemd\/network\/10-railnet-vf\.link$/m);
  t.match(await udevOf(root, vf), /^E:NM_UNMANAGED=1$/m);
  t.notMatch(await udevOf(root, PF), /RAILNET|UNMANAGED|railnet/, "a PF is none");
  const complaints = log
    .split("\n")
    .filter((line) => /railnet-vf/.test(line) && /invalid|unknown|ignoring|failed/i.test(line));
  t.same(complaints, [], "every key is one that they know");
  writeFileSync(join(dirOf(vf), "addr_assign_type"), NET_ADDR_SET);
  t.match(await doctor(root), [/^ok /]);
  t.equal(existsSync(join(world.sysfs.path(pci), "physfn")), true);
});

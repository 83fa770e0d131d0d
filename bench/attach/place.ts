import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readlinkSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

/** A VF, or what stands in for it, and the namespace it goes to. */
export interface Device {
  readonly pci: string;
  /** Its link in the host's namespace. */
  readonly link: string;
  readonly pod: string;
  readonly address: string;
}

/** Where attachments are measured: VFs, pods, and the host's own network namespace as `home`. */
export interface Place {
  readonly name: "host" | "vm";
  readonly devices: readonly Device[];
  /** What Railnet's processes need in their environment to find this place. */
  readonly env: Readonly<Record<string, string>>;
  /** What `host-device` calls the device. */
  readonly peerDevice: (device: Device) => Record<string, string>;
}

export const RAILS = 4;
const VFS = 4;
const devices = (make: (rail: number, vf: number) => Pick<Device, "pci" | "link">): Device[] =>
  Array.from({ length: RAILS * VFS }, (_, i) => {
    const [rail, vf] = [i % RAILS, Math.floor(i / RAILS)];
    return { ...make(rail, vf), pod: `pod${i}`, address: `10.20.${rail}.${vf + 5}/24` };
  });

/** The real VFs of this machine: rails `rail0` to `rail3`, set up by lab/vm/node.sh. */
export function vmPlace(): Place {
  const place: Place = {
    name: "vm",
    devices: devices((rail, vf) => {
      const pci = basename(readlinkSync(`/sys/class/net/rail${rail}/device/virtfn${vf}`));
      return { pci, link: readdirSync(`/sys/bus/pci/devices/${pci}/net`)[0]! };
    }),
    env: {},
    peerDevice: ({ pci }) => ({ pciBusID: pci }),
  };
  makePods(place);
  return place;
}

/** Veth pairs as VFs, with a sysfs tree that calls them so. Wants a network and a mount namespace of its own: covers /run. */
export function hostPlace(): Place {
  execFileSync("mount", ["-t", "tmpfs", "tmpfs", "/run"]);
  const sysfs = "/run/sysfs";
  const pfs = Array.from({ length: RAILS }, (_, rail) => ({ pci: `0000:a${rail}:00.0`, name: `rail${rail}` }));
  const all = devices((rail, vf) => ({ pci: `0000:a${rail}:02.${vf}`, link: `rail${rail}v${vf}` }));
  ip([...pfs.map(({ name }) => name), ...all.map(({ link }) => link)].flatMap(addVeth));
  for (const { pci, name } of pfs) addFunction(sysfs, pci, name);
  all.forEach(({ pci, link }, i) => {
    addFunction(sysfs, pci, link);
    linkVf(sysfs, pfs[i % RAILS]!.pci, Math.floor(i / RAILS), pci);
  });
  const env = { RAILNET_SYSFS: sysfs, RAILNET_CNI_CACHE_DIR: "/run/cni" };
  const place: Place = { name: "host", devices: all, env, peerDevice: ({ link }) => ({ device: link }) };
  makePods(place);
  return place;
}

/** A link that is down, plugged into one that is up. */
const addVeth = (name: string) => [`link add ${name} type veth peer name ${name}p`, `link set ${name}p up`];

function makePods({ devices }: Place): void {
  execFileSync("ip", ["netns", "attach", "home", `${process.pid}`]);
  ip(devices.map(({ pod }) => `netns add ${pod}`));
}

function ip(lines: readonly string[]): void {
  execFileSync("ip", ["-batch", "-"], { input: lines.join("\n") });
}

/** A PCI function with one network interface, as sysfs shows it. */
function addFunction(sysfs: string, pci: string, link: string): void {
  const dir = join(sysfs, "devices/pci0000:a0", pci);
  mkdirSync(join(dir, "net", link), { recursive: true });
  for (const parent of ["bus/pci/devices", "class/net"]) mkdirSync(join(sysfs, parent), { recursive: true });
  symlinkSync(`../../../devices/pci0000:a0/${pci}`, join(sysfs, "bus/pci/devices", pci));
  symlinkSync(`../../devices/pci0000:a0/${pci}/net/${link}`, join(sysfs, "class/net", link));
  symlinkSync("../..", join(dir, "net", link, "device"));
}

function linkVf(sysfs: string, pf: string, index: number, vf: string): void {
  const dir = join(sysfs, "devices/pci0000:a0");
  for (const file of ["sriov_numvfs", "sriov_totalvfs"]) writeFileSync(join(dir, pf, file), `${VFS}\n`);
  symlinkSync(`../${vf}`, join(dir, pf, `virtfn${index}`));
  symlinkSync(`../${pf}`, join(dir, vf, "physfn"));
}

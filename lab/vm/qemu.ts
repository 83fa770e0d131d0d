import { accessSync, constants, readFileSync } from "node:fs";
import { join } from "node:path";

/** What a rail's port is plugged into. `hub`: nothing; `stream`: the same rail of node 0 or 1; `mcast`: all nodes of this host. */
export type Link = "hub" | "stream" | "mcast";
export type Accelerator = "kvm" | "tcg";

export interface MachineSpec {
  readonly name: string;
  /** Which node of its cable: part of MAC addresses and, plus one, the host part of its addresses. */
  readonly index: number;
  readonly link: Link;
  /** Machines on the same cable see each other. */
  readonly cable: string;
  readonly iommu: boolean;
  /** A virtio NIC beside the rails: the primary network. */
  readonly primary: boolean;
  /** A virtio NIC on which the guest reaches the host's loopback as 10.0.2.2. */
  readonly hostPorts: boolean;
  /** Raw image of a disk, /dev/vda. */
  readonly disk?: string;
  readonly memoryMiB: number;
  readonly cpus: number;
  /** Added to the kernel's command line. */
  readonly append: string;
}

export interface InstallPaths {
  /** vmlinuz, initramfs.gz and kernel/, made by prepare.sh. */
  readonly images: string;
  /** Sockets and logs of this machine. */
  readonly state: string;
  /** Where the cables' sockets are: the same for all machines of a cable. */
  readonly cables: string;
}

export const RAILS = 4;
export const CHANNELS = 8;
const PRIMARY_SEGMENT = 9;
/** Without the flags for fast string instructions, which make kernel and libc copy by bytes: emulated, that takes twice as long as by words. */
const TCG_CPU = "max,la57=off,erms=off,fsrm=off,fsrs=off";
const MCAST_PORT = 17_000;
/** With more, part of it is above 4 GiB; the firmware then puts the VFs' registers there too, and no mailbox message of a VF reaches its PF. */
const MAX_MEMORY_MIB = 2815;

/** KVM where the processor has virtualisation and /dev/kvm may be used: a /dev/kvm without the former boots nothing. RAILNET_VM_ACCEL decides instead. */
export function chooseAccelerator(
  forced: string | undefined,
  cpuinfo = "/proc/cpuinfo",
  kvm = "/dev/kvm",
): Accelerator {
  if (forced === "kvm" || forced === "tcg") return forced;
  if (forced) throw new Error(`cannot use RAILNET_VM_ACCEL=${forced}: not kvm or tcg (EINVAL)`);
  try {
    accessSync(kvm, constants.R_OK | constants.W_OK);
    return /^flags\s*:.* (vmx|svm)( |$)/m.test(readFileSync(cpuinfo, "utf8")) ? "kvm" : "tcg";
  } catch {
    return "tcg";
  }
}

/** Arguments of qemu-system-x86_64. */
export function qemuArguments(spec: MachineSpec, places: InstallPaths, accelerator: Accelerator): string[] {
  if (spec.memoryMiB > MAX_MEMORY_MIB)
    throw new Error(
      `cannot give ${spec.name} ${spec.memoryMiB} MiB of memory: with more than ${MAX_MEMORY_MIB} its VFs get no carrier (EINVAL)`,
    );
  return [
    ...[
      "-M",
      "q35",
      "-nodefaults",
      "-display",
      "none",
      "-no-reboot",
      "-smp",
      `${spec.cpus}`,
      "-m",
      `${spec.memoryMiB}`,
    ],
    ...(accelerator === "kvm" ? ["-accel", "kvm", "-cpu", "host"] : ["-accel", "tcg,thread=multi", "-cpu", TCG_CPU]),
    ...[
      "-kernel",
      join(places.images, "vmlinuz"),
      "-initrd",
      join(places.images, "initramfs.gz"),
      "-append",
      commandLine(spec, places),
    ],
    ...(spec.iommu ? ["-device", "intel-iommu"] : []), // before any PCI device
    ...Array.from({ length: RAILS }, (_, rail) => railDevices(spec, places, rail)).flat(),
    ...(spec.primary ? primaryDevices(spec, places) : []),
    ...(spec.hostPorts ? hostPortsDevices() : []),
    ...(spec.disk ? diskDevices(spec.disk) : []),
    ...["-device", `virtio-serial-pci,max_ports=${CHANNELS + 1}`],
    ...Array.from({ length: CHANNELS }, (_, i) => channelDevices(places, i)).flat(),
    ...["-virtfs", "local,path=/,mount_tag=hostroot,security_model=passthrough,readonly=on,multidevs=remap"],
    ...["-virtfs", `local,path=${join(places.state, "x")},mount_tag=x,security_model=none`],
    ...["-serial", `file:${join(places.state, "console.log")}`],
    ...["-qmp", `unix:${join(places.state, "qmp")},server=on,wait=off`],
  ];
}

/** no_timer_check: on a busy host the timer's first interrupts come late, and the kernel would give up for that. */
function commandLine(spec: MachineSpec, places: InstallPaths): string {
  const iommu = spec.iommu ? "intel_iommu=on iommu=pt " : "";
  return `console=ttyS0 quiet panic=-1 mitigations=off no_timer_check ${iommu}railnet.name=${spec.name} railnet.modules=${join(places.images, "kernel/usr/lib/modules")} ${spec.append}`;
}

function railDevices(spec: MachineSpec, places: InstallPaths, rail: number): string[] {
  const mac = `02:aa:00:00:${hex(spec.index)}:${hex(rail)}`;
  return [
    ...["-netdev", netdev(`rail${rail}`, rail, spec, places)],
    ...["-device", `pcie-root-port,id=port${rail},slot=${rail}`],
    ...["-device", `igb,id=nic${rail},bus=port${rail},netdev=rail${rail},mac=${mac}`],
  ];
}

function primaryDevices(spec: MachineSpec, places: InstallPaths): string[] {
  const device = `virtio-net-pci,netdev=prim,addr=0x1e,romfile=,mac=02:bb:00:00:00:${hex(spec.index)}`;
  return ["-netdev", netdev("prim", PRIMARY_SEGMENT, spec, places), "-device", device];
}

function hostPortsDevices(): string[] {
  const device = "virtio-net-pci,netdev=host,addr=0x1d,romfile=,mac=02:cc:00:00:00:00";
  return ["-netdev", "user,id=host,ipv6=off", "-device", device];
}

/** `unsafe`: a flush need not reach the host's disk, since only the machine loses power, never the host. */
function diskDevices(path: string): string[] {
  const drive = `file=${path},if=none,id=disk,format=raw,cache=unsafe`;
  return ["-drive", drive, "-device", "virtio-blk-pci,drive=disk,addr=0x1c"];
}

function channelDevices(places: InstallPaths, i: number): string[] {
  const chardev = `socket,id=c${i},path=${channelPath(places.state, i)},server=on,wait=off`;
  return ["-chardev", chardev, "-device", `virtserialport,chardev=c${i},name=railnet.${i}`];
}

function netdev(id: string, segment: number, { link, index, cable }: MachineSpec, places: InstallPaths): string {
  const path = join(places.cables, `cable.${cable}.${segment}`);
  switch (link) {
    case "hub":
      return `hubport,id=${id},hubid=${segment}`;
    case "stream":
      return index === 0
        ? `stream,id=${id},server=on,addr.type=unix,addr.path=${path}`
        : `stream,id=${id},server=off,addr.type=unix,addr.path=${path},reconnect-ms=100`;
    case "mcast":
      return `dgram,id=${id},local.type=inet,local.host=127.0.0.1,local.port=0,remote.type=inet,remote.host=230.7.0.${segment},remote.port=${MCAST_PORT + segment}`;
  }
}

export const channelPath = (state: string, i: number): string => join(state, `c${i}`);

const hex = (n: number): string => n.toString(16).padStart(2, "0");

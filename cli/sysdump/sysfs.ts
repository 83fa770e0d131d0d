import { readdirSync, readlinkSync } from "node:fs";
import { basename, join } from "node:path";
import type { Item } from "./collect.ts";
import { ifThere, smallFile } from "./files.ts";

/** Of a PCI device, below its directory. `*` is any name. Nothing else is read: some files in sysfs act when they are read or written. */
const ATTRIBUTES = [
  ..."vendor device subsystem_vendor subsystem_device revision class enable numa_node local_cpulist irq msi_bus".split(" "),
  ..."current_link_speed current_link_width max_link_speed max_link_width power/runtime_status aer_dev_fatal aer_dev_nonfatal".split(" "),
  ..."sriov_numvfs sriov_totalvfs sriov_offset sriov_stride sriov_drivers_autoprobe driver_override".split(" "),
  ..."address addr_assign_type mtu operstate carrier carrier_changes speed duplex ifindex iflink flags dev_port dev_id phys_port_name phys_switch_id type".split(" ").map((name) => `net/*/${name}`),
  "net/*/statistics/*",
  ..."node_guid sys_image_guid fw_ver hca_type board_id node_type".split(" ").map((name) => `infiniband/*/${name}`),
  ..."state phys_state rate link_layer lid cap_mask counters/* hw_counters/* gid_attrs/types/0 gids/0 gids/1 gids/2 gids/3".split(" ").map((name) => `infiniband/*/ports/*/${name}`),
]; // biome-ignore format: a list
const LINKS = ["driver", "physfn", "iommu_group", "subsystem"];

/** What the kernel reports about PCI devices: `device/attribute = value`, one line each. */
export const sysfsItem = (path: string, sysfs: string, devices: () => readonly string[]): Item => ({
  path,
  read: async () =>
    `${devices()
      .flatMap((pci) => deviceLines(join(sysfs, "bus/pci/devices", pci), pci))
      .join("\n")}\n`,
});

function deviceLines(folder: string, pci: string): string[] {
  const links = LINKS.flatMap((name) => {
    const target = ifThere(() => readlinkSync(join(folder, name)));
    return target ? [`${pci}/${name} -> ${basename(target)}`] : [];
  });
  const values = ATTRIBUTES.flatMap((attribute) => expanded(folder, attribute.split("/"))).flatMap((name) => {
    const value = attributeValue(join(folder, name));
    return value === undefined ? [] : [`${pci}/${name} = ${value}`];
  });
  return [...links, ...values];
}

/** Paths below `folder`, with each `*` expanded. */
function expanded(folder: string, [first, ...rest]: readonly string[]): string[] {
  if (first === undefined) return [""];
  const names = first === "*" ? (ifThere(() => readdirSync(folder)) ?? []).toSorted() : [first];
  return names.flatMap((name) => expanded(join(folder, name), rest).map((below) => join(name, below)));
}

/** The carrier of a link that is down cannot be read (EINVAL), nor can the speed of one without a cable. */
function attributeValue(path: string): string | undefined {
  try {
    return ifThere(() => smallFile(path))
      ?.trim()
      .replaceAll("\n", "; ");
  } catch (error) {
    return `(${(error as NodeJS.ErrnoException).code})`;
  }
}

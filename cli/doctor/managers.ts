import { readFileSync } from "node:fs";
import { join } from "node:path";
import { netdevOf } from "../../kernel/sysfs.ts";
import { type DoctorFinding, named, note, wrong } from "./finding.ts";

/** What is examined of a node. */
export interface ManagedNode {
  /** PCI addresses. */
  readonly vfs: readonly string[];
  readonly sysfs: string;
  /** The host's root directory, which contains `/run`. */
  readonly root: string;
}

/** A VF at home, with the index by which all programs refer to it. */
interface HomeLink {
  readonly name: string;
  readonly index: string;
}

const FIX = "install the files of manifests/host on the node (its README)";

/** States in which systemd-networkd does nothing with a link; `pending` waits for udev. */
const LEFT_ALONE = ["unmanaged", "initialized", "pending", ""];

/** Settings in a `.link` file that change a link, other than its name. */
const CHANGES = ["MACAddress=", "MTUBytes=", "MACAddressPolicy=persistent", "MACAddressPolicy=random"];
/** `NET_ADDR_SET`, include/uapi/linux/netdevice.h: the MAC was set by a program. */
const MAC_SET = "3";

/** Which of the host's own programs have touched VFs that are at home, from their state in `/run`. */
export function managerFindings({ vfs, sysfs, root }: ManagedNode): DoctorFinding[] {
  const links = vfs.flatMap((pci): HomeLink[] => {
    const name = netdevOf(sysfs, pci);
    const index = name && line(join(sysfs, "class/net", name, "ifindex"));
    return name && index ? [{ name, index }] : [];
  });
  return named(
    "VFs' managers",
    [
      ...finding(links.filter(byNetworkManager(root)), (all) => wrong(`NetworkManager manages VF ${all}: ${FIX}`)),
      ...finding(links.filter(byNetworkd(root)), (all) => wrong(`systemd-networkd configures VF ${all}: ${FIX}`)),
      ...finding(links.filter(byUdev(root, sysfs)), (all) => note(`udev gave VF ${all} its MAC or MTU: ${FIX}`)),
    ],
    "neither NetworkManager nor systemd-networkd nor udev has touched a free VF",
  );
}

const finding = <F>(links: readonly HomeLink[], say: (all: string) => F): F[] =>
  links.length > 0 ? [say(links.map(({ name }) => name).join(", "))] : [];

/** `nm_config_device_state_write()`, NetworkManager's src/core/nm-config.c: a key file for each index, `managed` is a boolean of GKeyFile. */
const byNetworkManager =
  (root: string) =>
  ({ index }: HomeLink): boolean =>
    ["true", "1"].includes(settingOf("managed", join(root, "run/NetworkManager/devices", index)));

/** `link_save()`, systemd's src/network/networkd-state-file.c: `ADMIN_STATE` of each link (`link_state_to_string()`); in older versions alike. */
const byNetworkd =
  (root: string) =>
  ({ index }: HomeLink): boolean =>
    !LEFT_ALONE.includes(settingOf("ADMIN_STATE", join(root, "run/systemd/netif/links", index)));

/** udev's database (`device_update_db()`, systemd's src/libsystemd/sd-device/device-private.c: `E:` and a property) says which `.link` file it followed; the kernel, whether somebody set the MAC. */
const byUdev =
  (root: string, sysfs: string) =>
  ({ name, index }: HomeLink): boolean => {
    const file = settingOf("E:ID_NET_LINK_FILE", join(root, "run/udev/data", `n${index}`));
    const settings = file ? linesOf(join(root, file)) : [];
    if (!settings.some((setting) => CHANGES.some((change) => setting.replaceAll(" ", "").startsWith(change))))
      return false;
    return line(join(sysfs, "class/net", name, "addr_assign_type")) === MAC_SET;
  };

/** Empty if it does not exist: then that program does not run, or does not know the link. */
function text(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

const linesOf = (file: string): string[] => text(file).split("\n");

/** From a line `KEY=VALUE`; empty without one. */
const settingOf = (key: string, file: string): string =>
  linesOf(file)
    .find((one) => one.startsWith(`${key}=`))
    ?.slice(key.length + 1)
    .trim() ?? "";

const line = (file: string): string => text(file).trim();

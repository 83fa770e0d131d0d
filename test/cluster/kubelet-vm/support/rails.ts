import type { Rail } from "../../../../lab/kubelet/rails.ts";
import type { Guest } from "./guest.ts";

/** PFs and, behind `railnet.io/`, resources. */
export const RAILS = ["rail0", "rail1", "rail2", "rail3"];
/** Of each rail; a port of the test machine makes up to 7. */
export const VFS = 6;
/** Key `rails` of the ConfigMap. */
export const RAILS_CONFIG = RAILS.map((name) => `- { name: ${name}, vfs: ${VFS}, pf: { names: [${name}] } }\n`).join(
  "",
);
/** What the node then offers. */
export const OFFERED = Object.fromEntries(RAILS.map((name) => [`railnet.io/${name}`, `${VFS}`]));

/** A line for each PF and each VF that is on the host, in the PF's order: rail, PCI address, name, MAC. */
const LIST = `shopt -s nullglob; cd /sys/class/net; for rail in ${RAILS.join(" ")}; do
  for link in $rail/device/net/* $rail/device/virtfn*/net/*; do
    echo $rail $(basename $(realpath $link/device)) \${link##*/} $(< $link/address)
  done
done`;

/** The rails as the kernel shows them. */
export async function readRails(node: Guest): Promise<Rail[]> {
  const lines = (await node.exec(["bash", "-c", LIST]))
    .trim()
    .split("\n")
    .map((line) => line.split(" "));
  return RAILS.map((name) => {
    const [pf, ...vfs] = lines.filter(([rail]) => rail === name);
    return { name, pci: pf![1]!, vfs: vfs.map(([, pci, netdev, mac]) => ({ pci: pci!, netdev: netdev!, mac: mac! })) };
  });
}

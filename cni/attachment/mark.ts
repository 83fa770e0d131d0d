import type { Original } from "./record.ts";

/**
 * The alias of a link in a pod: `railnet <PCI> <original name> <original MAC> <original MTU>`, for people and for
 * `ip link`. A tenant can write it too: it is a hint where to look, never what to do. At most 256 bytes (IFALIASZ).
 */
export const formatMark = (pci: string, { name, mac, mtu }: Original): string => `railnet ${pci} ${name} ${mac} ${mtu}`;

/** @returns the VF that a link's alias claims it to be; undefined for any other alias. */
export function markedPci(alias: string): string | undefined {
  const [tool, pci] = alias.split(" ");
  return tool === "railnet" && pci ? pci : undefined;
}

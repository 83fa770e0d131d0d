import type { Original } from "./record.ts";

/**
 * The alias of a link in a pod: `railnet <PCI> <original name> <original MAC> <original MTU>`, for people and for
 * `ip link`. A tenant can write it too: it is a hint to look, and never says what to do. At most 256 bytes (IFALIASZ).
 */
export const formatMark = (pci: string, { name, mac, mtu }: Original): string => `railnet ${pci} ${name} ${mac} ${mtu}`;

/** @returns the VF that a link is said to be; undefined for anybody else's alias. */
export function markedPci(alias: string): string | undefined {
  const [tool, pci] = alias.split(" ");
  return tool === "railnet" && pci ? pci : undefined;
}

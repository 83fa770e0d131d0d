import type { Original } from "./record.ts";

/** What a link of ours says of itself, wherever it turns up and whatever became of its record. */
export interface Mark {
  readonly pci: string;
  readonly name: string;
  readonly mac: string;
  /** Bytes. */
  readonly mtu: number;
}

/**
 * The alias of a link in a pod: `railnet <PCI> <original name> <original MAC> <original MTU>`. A VF that fell back by
 * itself is known by it, and can be put right even when its record is lost. At most 256 bytes (IFALIASZ).
 */
export const formatMark = (pci: string, { name, mac, mtu }: Original): string => `railnet ${pci} ${name} ${mac} ${mtu}`;

/** @returns undefined for anybody else's alias. */
export function parseMark(alias: string): Mark | undefined {
  const [tool, pci, name, mac, mtu, ...more] = alias.split(" ");
  if (tool !== "railnet" || !pci || !name || !mac || !Number.isInteger(Number(mtu)) || more.length > 0)
    return undefined;
  return { pci, name, mac, mtu: Number(mtu) };
}

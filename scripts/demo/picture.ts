import type { Machine } from "../../lab/vm/machine.ts";

/** What changes by itself. */
const VOLATILE = ["ifindex", "operstate", "permaddr", "qdisc"];

/** PFs with their VF settings, and the VFs' links, as `ip` shows them. */
export async function picture(machine: Machine): Promise<string> {
  const links = JSON.parse(await machine.ask("ip -j -d link")) as Record<string, unknown>[];
  const lines = links
    .filter((link) => link["parentbus"] === "pci")
    .map((link) =>
      JSON.stringify(
        Object.entries(link)
          .filter(([key]) => !VOLATILE.includes(key))
          .sort(),
      ),
    );
  return lines.sort().join("\n");
}

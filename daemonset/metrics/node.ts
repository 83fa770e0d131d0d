import { Debts } from "../../cni/attachment/debts.ts";
import { Journal } from "../../cni/attachment/journal.ts";
import type { Paths } from "../../cni/host.ts";
import { listPfsWithVfs } from "../inventory/vfs.ts";
import type { Family, Sample } from "./family.ts";

/** What is attached and what is free on this node, read at scrape time: a few directories, no record. */
export function nodeFamilies({ sysfs, stateDir }: Paths, railOf: (pf: string) => string): Family[] {
  const used = new Journal(stateDir).devices();
  const owed = new Debts(stateDir).devices();
  const pfs = listPfsWithVfs(sysfs, { used, owed }).filter(({ vfs }) => vfs.length > 0);
  return [
    {
      name: "railnet_attachments",
      help: "VFs that pods have, or that are being attached or detached, by the journal",
      type: "gauge",
      values: [{ value: used.size }],
    },
    {
      name: "railnet_vf_debts",
      help: "VFs not fully restored since their last pod: none is given to another pod before",
      type: "gauge",
      values: [{ value: owed.size }],
    },
    {
      name: "railnet_vfs",
      help: "VFs by rail, PF and state: used by a pod, owed (not fully restored), free, or other: not in the host and not by Railnet, or without driver",
      type: "gauge",
      values: pfs.flatMap(({ name: pf, vfs }): Sample[] => {
        const count = (...states: string[]) => vfs.filter(({ state }) => states.includes(state)).length;
        const labels = { rail: railOf(pf), pf };
        return [
          { labels: { ...labels, state: "used" }, value: count("used") },
          { labels: { ...labels, state: "owed" }, value: count("owed") },
          { labels: { ...labels, state: "free" }, value: count("free") },
          { labels: { ...labels, state: "other" }, value: count("elsewhere", "unbound") },
        ];
      }),
    },
  ];
}

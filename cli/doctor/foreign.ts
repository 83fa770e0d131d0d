import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Paths } from "../../cni/host.ts";
import { onHost } from "../../cni/host-root.ts";
import { count } from "../table.ts";
import { list } from "./disk.ts";
import { type DoctorFinding, named, note, wrong } from "./finding.ts";

/** sriov-cni keeps other files beside them, such as the directory of its locks, `vf_lock` (`pkg/utils/pci_allocator.go`). */
const PCI_ADDRESS = /^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/i;

/** What sriov-cni left on this node: `sriov/pci/<PCI address>` contains the namespace of the pod that has the VF. */
export function foreignFindings({ cniCacheDir, hostRoot }: Paths): DoctorFinding[] {
  const dir = join(cniCacheDir, "sriov/pci");
  const records = list(dir)
    .filter((name) => PCI_ADDRESS.test(name))
    .map((name) => ({ path: join(dir, name), netns: read(join(dir, name)) }));
  const held = records.filter(({ netns }) => netns && existsSync(onHost(hostRoot, netns)));
  const left = records.filter((one) => !held.includes(one));
  return named(
    "sriov-cni",
    [
      ...(held.length > 0
        ? [
            note(
              `${count(held.length, "VF is", "VFs are")} in pods that it attached: they end with the plugin that attached them, sriov-cni or its alias`,
            ),
          ]
        : []),
      ...left.map(({ path }) => wrong(`has left a record of a pod that is gone: rm ${path}`)),
    ],
    "left nothing here",
  );
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}

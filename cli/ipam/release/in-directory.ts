import { statSync } from "node:fs";
import { ClaimJournal } from "../../../ipam/journal.ts";
import { lockIn } from "../../../ipam/node-host.ts";
import { DirectoryStore } from "../../../ipam/store/directory.ts";
import type { HeldAddress } from "../addresses.ts";
import { addressesIn } from "../directory.ts";
import { meant, outcomeOf, type ReleaseOutcome, type Which } from "./which.ts";

/** Releases addresses of a single host. A sandbox is running while its network namespace is the one that its ADD saw. @throws {StoreError} */
export async function releaseInDirectory(which: Which, path: string, stateDir: string): Promise<ReleaseOutcome[]> {
  const store = new DirectoryStore(path, lockIn(path));
  const journal = new ClaimJournal(stateDir);
  const outcomes: ReleaseOutcome[] = [];
  for (const address of meant(addressesIn(path), which)) {
    const sandbox = which.force ? undefined : livingSandbox(journal, address);
    if (sandbox)
      outcomes.push(
        outcomeOf(address, "refused", `its sandbox is running in ${sandbox}; end it first, or give --force`),
      );
    else outcomes.push(await release(store, address));
  }
  return outcomes;
}

/** @returns path of its namespace. */
function livingSandbox(journal: ClaimJournal, { containerId, ifname }: HeldAddress): string | undefined {
  const record = journal.find(containerId, ifname);
  if (record?.phase !== "held" || !record.netnsInode) return undefined;
  return statSync(record.netns, { throwIfNoEntry: false })?.ino === record.netnsInode ? record.netns : undefined;
}

async function release(store: DirectoryStore, address: HeldAddress): Promise<ReleaseOutcome> {
  const { ip, network, pool: name, podref, ifname, containerId } = address;
  const pool = { name, cidr: "", network, overlapping: false };
  const released = await store.release({ pool, ip, owner: { podref, ifname, containerId } });
  return released === "foreign"
    ? outcomeOf(address, "changed", "another pod has it now")
    : outcomeOf(address, "released");
}

import { addressesOf, type HeldAddress } from "./addresses.ts";
import { addressesIn } from "./directory.ts";
import type { TargetOptions } from "./options.ts";
import type { Progress } from "./progress.ts";
import { readSnapshot } from "./snapshot.ts";
import { connectTo, type StoreTarget } from "./store-target.ts";

/** Every address with a holder, wherever addresses are stored, sorted by number. @throws {Error} */
export async function readAddresses(
  target: StoreTarget,
  options: TargetOptions,
  progress: Progress,
): Promise<HeldAddress[]> {
  if (target.kind === "directory") return addressesIn(target.path);
  return addressesOf(await readSnapshot(await connectTo(target, options, "list addresses"), progress));
}

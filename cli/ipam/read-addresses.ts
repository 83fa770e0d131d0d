import { addressesOf, type HeldAddress } from "./addresses.ts";
import { addressesIn } from "./directory.ts";
import type { PlaceOptions } from "./options.ts";
import type { Progress } from "./progress.ts";
import { readSnapshot } from "./snapshot.ts";
import { connectTo, type StoreTarget } from "./store-target.ts";

/** Every address that somebody has, wherever addresses are kept, sorted by number. @throws {Error} */
export async function readAddresses(
  place: StoreTarget,
  options: PlaceOptions,
  progress: Progress,
): Promise<HeldAddress[]> {
  if (place.kind === "directory") return addressesIn(place.path);
  return addressesOf(await readSnapshot(await connectTo(place, options, "list addresses"), progress));
}

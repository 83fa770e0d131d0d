// The contract of every store, on a real API server: in both modes, and where the record alone counts.
import t from "tap";
import type { Pool } from "../../../ipam/store/store.ts";
import { testStore } from "../../ipam/store/contract.ts";
import { StorePlace } from "./support/place.ts";

const place = await StorePlace.start();
t.teardown(() => place[Symbol.asyncDispose]());

/** Reservation and record of an address say the same, or it is counted as held by nobody known. */
async function both(pool: Pool): Promise<Map<string, string>> {
  const [reserved, recorded] = await Promise.all([place.reservedIn(pool), place.recordedIn(pool)]);
  const ips = new Set([...reserved.keys(), ...recorded.keys()]);
  return new Map([...ips].map((ip) => [ip, reserved.get(ip) === recorded.get(ip) ? reserved.get(ip)! : "differ"]));
}

testStore("KubernetesStore, mode absent", { open: () => place.open("absent"), look: (pool) => place.reservedIn(pool) });
testStore("KubernetesStore, mode coexist", { open: () => place.open("coexist"), look: both });
testStore("KubernetesStore, pool not adopted", {
  open: () => place.open("absent", { createsAdopted: false }),
  look: both,
});
testStore(
  "KubernetesStore",
  { open: () => place.open("absent"), look: (pool) => place.recordedIn(pool) },
  { overlapping: false },
);

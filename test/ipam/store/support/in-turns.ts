import type { AddressLock } from "../../../../ipam/store/address-lock.ts";

/** Locks among the callers in one process: Node has no flock(2). */
export function inTurns(): AddressLock {
  const last = new Map<string, Promise<void>>();
  return async (name) => {
    const before = last.get(name);
    const { promise, resolve } = Promise.withResolvers<void>();
    last.set(name, promise);
    await before;
    return { [Symbol.dispose]: resolve };
  };
}

import { type Lock, Locks } from "../../records/lock.ts";
import type { Host } from "../host.ts";

/** Bounded, below every runtime's own limit. */
const WAIT_MS = { ADD: 20_000, DEL: 40_000, VFS: 60_000, ALLOCATE: 5_000 };

/**
 * Locks the numbers of the node's RDMA character devices (`/dev/infiniband/uverbsN`): whoever moves an RDMA device to another
 * network namespace, makes or removes VFs or binds a VF's driver anew holds it, since each of these frees numbers and takes
 * the lowest that are free. Always after the locks of attachment and VF.
 *
 * @throws {CniError} 11 when somebody else holds it for too long.
 */
export const lockRdma = (
  who: keyof typeof WAIT_MS,
  { paths, signal }: { readonly paths: Pick<Host["paths"], "runDir">; readonly signal?: AbortSignal },
): Promise<Lock> =>
  new Locks(paths.runDir).acquire(
    "rdma",
    "the RDMA devices of this node",
    WAIT_MS[who],
    who === "ADD" ? signal : undefined,
  );

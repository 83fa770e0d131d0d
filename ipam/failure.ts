import { CniError, CODE } from "../cni/protocol/error.ts";
import { StoreError } from "./store/store.ts";

/**
 * What a runtime is told about a failed store: 11 "try again later" where waiting helps, otherwise 100.
 * Anything but a StoreError is returned unchanged.
 */
export function toCniFailure(error: unknown): unknown {
  if (!(error instanceof StoreError)) return error;
  const code = error.kind === "refused" ? CODE.FAILED : CODE.TRY_AGAIN_LATER;
  return new CniError(code, error.message, { cause: error });
}

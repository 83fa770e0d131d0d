import { CniError, CODE } from "../cni/protocol/error.ts";
import { StoreError } from "./store/store.ts";

/**
 * What a runtime is told of a store that failed: 11 "try again later" where waiting helps, else 100.
 * What is no StoreError passes as it is.
 */
export function toCniFailure(error: unknown): unknown {
  if (!(error instanceof StoreError)) return error;
  const code = error.kind === "refused" ? CODE.FAILED : CODE.TRY_AGAIN_LATER;
  return new CniError(code, error.message, { cause: error });
}

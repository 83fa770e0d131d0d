import { CniError } from "../../../cni/protocol/error.ts";
import { ApiError } from "../../../kubernetes/cluster.ts";
import { StoreError, type StoreFailure } from "../store.ts";

/** The API server's own temporary trouble. */
const PASSING = new Set([0, 408, 409, 429, 500, 502, 503, 504]);

/** Converts anything thrown by a call to the API server, adding its purpose. */
export function toStoreError(what: string, error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const { message } = error as Error;
  return new StoreError(kindOf(error), `cannot ${what}: ${message}`, { cause: error });
}

function kindOf(error: unknown): StoreFailure {
  if (error instanceof CniError) return "refused"; // from pure code: an address or range that cannot be stored
  if (!(error instanceof ApiError) || error.isUnclear) return "unclear";
  return PASSING.has(error.status) ? "unavailable" : "refused";
}

/** An object of this name already exists. */
export const isTaken = (error: unknown): boolean =>
  error instanceof ApiError && error.status === 409 && error.reason === "AlreadyExists";

/** A test or precondition no longer holds: look again. */
export const isOutdated = (error: unknown): boolean =>
  error instanceof ApiError && (error.status === 409 || error.status === 422);

export const isUnclear = (error: unknown): boolean => error instanceof ApiError && error.isUnclear;

export const isGone = (error: unknown): boolean => error instanceof ApiError && error.status === 404;

/** Exclusion between all processes that use the directory; released when the holder dies, however it dies. */
export type AddressLock = (name: string, what: string, signal?: AbortSignal) => Promise<Disposable>;

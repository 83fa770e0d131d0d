/** How many calls one part of the background work has open at the API server. */
const WIDTH = 8;

/** Runs `work` on every item, a few at a time. Rejects with the first failure, once what had begun is done. */
export async function inParallel<T>(items: Iterable<T>, work: (item: T) => Promise<void>): Promise<void> {
  const queue = items[Symbol.iterator]();
  let failure: { error: unknown } | undefined;
  const one = async () => {
    for (let next = queue.next(); !next.done && !failure; next = queue.next())
      await work(next.value).catch((error) => {
        failure ??= { error };
      });
  };
  await Promise.all(Array.from({ length: WIDTH }, one));
  if (failure) throw failure.error;
}

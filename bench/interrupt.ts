const INTERRUPTED = 130;

/**
 * Runs a bench that Ctrl-C or SIGTERM ends early and tidily. What it throws after the signal is how it ended.
 *
 * @param ending what is done then, for people.
 * @param settled waited for before a failure is judged.
 * @returns its exit code; 130 when it was interrupted.
 */
export async function interruptibly(
  ending: string,
  run: (signal: AbortSignal) => Promise<number>,
  settled: () => Promise<unknown> = async () => {},
): Promise<number> {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.once(signal, () => {
      console.error(`[bench] ${signal}: ${ending} …`);
      stop.abort(new Error(`interrupted by ${signal}`));
    });
  try {
    return await run(stop.signal);
  } catch (error) {
    await settled();
    if (!stop.signal.aborted) throw error;
    console.error("[bench] interrupted: nothing is left running, nothing was written");
    return INTERRUPTED;
  }
}

import { writeResponse } from "../cni/protocol/edges.ts";

/** Answers on standard output: `--json` for scripts, otherwise for people. */
export interface Output {
  /** An answer in one of two forms. JSON is indented by two, so that people can read it too. */
  answer(json: unknown, text: () => string): void;
}

export const outputFor = ({ json }: { readonly json: boolean }): Output => ({
  answer(value, text) {
    print(json ? `${JSON.stringify(value, null, 2)}\n` : text());
  },
});

/**
 * Prints everything: process.stdout would lose what is beyond 64 KiB when the process exits.
 *
 * @returns false when the reader has left (`| head`), which is fine.
 */
export function print(stdout: string): boolean {
  try {
    writeResponse({ exit: 0, stdout, stderr: "" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EPIPE") throw error;
    return false;
  }
}

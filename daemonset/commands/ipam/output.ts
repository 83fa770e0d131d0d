import { writeResponse } from "../../../cni/protocol/edges.ts";

/** Answers on standard output: `--json` for scripts, else for people. */
export interface Output {
  /** An answer in one of two forms. JSON is indented by two, so that people can read that as well. */
  answer(json: unknown, text: () => string): void;
}

export const outputFor = ({ json }: { readonly json: boolean }): Output => ({
  answer(value, text) {
    print(json ? `${JSON.stringify(value, null, 2)}\n` : text());
  },
});

/** Whole: process.stdout would lose what is beyond 64 KiB when the process exits. A reader that has left (`| head`) is fine. */
function print(stdout: string): void {
  try {
    writeResponse({ exit: 0, stdout, stderr: "" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EPIPE") throw error;
  }
}

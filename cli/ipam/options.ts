import type { Argv } from "yargs";

/** Where addresses are stored. */
export interface TargetOptions {
  readonly kubeconfig?: string | undefined;
  readonly namespace?: string | undefined;
  readonly directory?: string | undefined;
}

/** Common to every command. */
export interface CommonOptions extends TargetOptions {
  readonly json: boolean;
}

export const withCommon = <T>(y: Argv<T>) =>
  y
    .option("kubeconfig", {
      type: "string",
      describe: "of the cluster; default: node.json, KUBECONFIG, Whereabouts' flat file, the pod's service account",
    })
    .option("namespace", {
      type: "string",
      describe: "of the Whereabouts objects; default: the kubeconfig context's, else kube-system",
    })
    .option("directory", { type: "string", describe: "of a single host without a cluster" })
    .option("json", { type: "boolean", default: false, describe: "for scripts" });

/** Wrong arguments: exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** 0: done, and nothing is wrong; 1: something is wrong, or could not be done; 2: wrong arguments. */
export type ExitCode = 0 | 1;

/** Runs a command; an error becomes a line on standard error and exit code 1 or 2. */
export const running =
  <T>(work: (options: T) => Promise<ExitCode>) =>
  async (options: T): Promise<void> => {
    try {
      process.exitCode = await work(options);
    } catch (error) {
      const { exitCode, message } = describe(error);
      console.error(`railnet: ${message}`);
      process.exitCode = exitCode;
    }
  };

function describe(error: unknown): { exitCode: number; message: string } {
  const message = error instanceof Error ? error.message : String(error);
  return { exitCode: error instanceof UsageError ? 2 : 1, message };
}

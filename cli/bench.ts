import type { Argv } from "yargs";

export const registerBench = (y: Argv): Argv =>
  y.command("bench", "measures rails of a cluster, in pods that it makes itself", async (y) =>
    (await import("./bench/rdma/command.ts")).registerRdma(y),
  );

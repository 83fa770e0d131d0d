import { basename } from "node:path";

/** The executable's name decides: as a plugin, with CNI_COMMAND set, it speaks CNI; otherwise it is the command line. */
const name = basename(process.argv0);

if (process.env.CNI_COMMAND !== undefined || name.startsWith("railnet-")) {
  const { runPlugin } = await import("./stand-alone.ts");
  await runPlugin(name);
} else {
  const { runCommandLine } = await import("./cli/cli.ts");
  await runCommandLine(process.argv.slice(2)).catch((error) => {
    console.error(`railnet: ${error instanceof Error ? error.message : error}`);
    process.exit(1);
  });
}

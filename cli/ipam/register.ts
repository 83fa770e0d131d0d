import { writeSync } from "node:fs";
import type { Argv } from "yargs";
import { registerAudit } from "./audit.ts";
import { registerExplain } from "./explain.ts";
import { registerList } from "./list.ts";
import { registerRelease } from "./release.ts";
import { registerShow } from "./show.ts";
import { registerStats } from "./stats.ts";
import { registerTakeover } from "./takeover.ts";
import { registerWho } from "./who.ts";

const COMMANDS = [
  registerList,
  registerShow,
  registerWho,
  registerStats,
  registerExplain,
  registerRelease,
  registerAudit,
  registerTakeover,
];

/** The commands of `railnet ipam`. Wrong arguments end the process with exit code 2. */
export const registerIpam = (y: Argv): Argv =>
  COMMANDS.reduce((y, register) => register(y), y)
    .demandCommand(1, "which command")
    .strict()
    .fail((message, error) => {
      if (error) throw error;
      writeSync(2, `railnet: cannot run this: ${message}; see --help\n`);
      process.exit(2);
    })
    .epilogue("Exit codes: 0 done, nothing is wrong; 1 something is wrong, or could not be done; 2 wrong arguments.");

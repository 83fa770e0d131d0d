import type { Argv } from "yargs";
import { PATHS } from "../cni/host.ts";
import { pathsFrom } from "../cni/node-host.ts";
import { LOG_LEVELS, type LogLevel } from "../daemonset/log-level.ts";
import { askAgent } from "./ask-agent.ts";
import { type ExitCode, running } from "./ipam/options.ts";

export const registerLogLevel = (y: Argv): Argv =>
  y.command(
    "log-level [level]",
    "what the agent of this node logs: show it, or change it at once",
    (y) =>
      y
        .positional("level", { type: "string", choices: LOG_LEVELS, describe: "debug adds every step of every call" })
        .example("$0 log-level debug", "until the agent ends, or the key logLevel of the ConfigMap changes")
        .epilogue("For all nodes: the key logLevel of the ConfigMap kube-system/railnet-config."),
    running(logLevel),
  );

async function logLevel({ level }: { readonly level?: LogLevel | undefined }): Promise<ExitCode> {
  const { runDir } = { ...PATHS, ...pathsFrom(process.env) };
  const state = await askAgent(runDir, level ? { ask: "log-level", level } : { ask: "state" });
  console.log(state.logLevel);
  return 0;
}

import { setTimeout as sleep } from "node:timers/promises";
import { isatty } from "node:tty";
import type { Argv } from "yargs";
import { createHost, pathsFrom } from "../cni/node-host.ts";
import { createLog } from "../daemonset/log.ts";
import { readNodePolicy } from "../ipam/node-policy.ts";
import { standAloneIpam } from "../ipam/stand-alone.ts";
import { type ExitCode, running } from "./ipam/options.ts";
import { print } from "./output.ts";
import { gatherStatus } from "./status/gather.ts";
import { reportStatus } from "./status/report.ts";

interface StatusOptions {
  readonly json: boolean;
  readonly watch: boolean;
  readonly seconds: number;
  readonly configDir: string;
}

export const registerStatus = (y: Argv): Argv =>
  y.command(
    "status",
    "this node: rails, VFs and their pods, the agent, what it repaired, what is wrong",
    (y) =>
      y
        .option("json", { type: "boolean", default: false, describe: "for scripts; with --watch one line a look" })
        .option("watch", { alias: "w", type: "boolean", default: false, describe: "again and again, until Ctrl-C" })
        .option("seconds", { type: "number", default: 2, describe: "between two looks of --watch" })
        .option("config-dir", {
          type: "string",
          default: "/etc/railnet/config",
          describe: "where the ConfigMap railnet-config is mounted, for when no agent can be asked",
        })
        .example("$0 status", "works without an agent, too")
        .example("$0 status --json | jq -r '.attachments[] | select(.rail == \"rail0\").pod'", "who is on a rail")
        .epilogue(
          "Exit codes: 0 all is well; 1 the agent does not answer, or something is wrong: the last lines say what, with " +
            "what to do.",
        ),
    running(status),
  );

async function status({ json, watch, seconds, configDir }: StatusOptions): Promise<ExitCode> {
  const quiet = createLog("silent");
  const host = createHost({ paths: pathsFrom(process.env), ipam: standAloneIpam(process.env, quiet), log: quiet });
  const policy = readNodePolicy(host.paths, process.env);
  for (;;) {
    const now = await gatherStatus({ host, policy, configDir });
    const text = json ? `${JSON.stringify(now, null, watch ? 0 : 2)}\n` : reportStatus(now, Date.now());
    const isRead = print(watch && !json ? onScreen(text, isatty(1)) : text);
    if (!watch || !isRead) return now.problems.length === 0 ? 0 : 1;
    await sleep(Math.max(0.1, seconds) * 1000);
  }
}

const HOME = "\x1b[H";
const CLEAR_LINE = "\x1b[K";
const CLEAR_BELOW = "\x1b[J";

/** Replaces what a terminal shows, without flicker; in a file, one picture follows the other. */
const onScreen = (text: string, isTerminal: boolean): string =>
  isTerminal ? `${HOME}${text.replaceAll("\n", `${CLEAR_LINE}\n`)}${CLEAR_BELOW}` : `${text}\n`;

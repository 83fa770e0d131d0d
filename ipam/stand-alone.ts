import { faultsFrom } from "../cni/faults.ts";
import { type Log, PATHS, type Paths } from "../cni/host.ts";
import { onHost } from "../cni/host-root.ts";
import { pathsFrom } from "../cni/node-host.ts";
import { isRegularFile } from "../cni/protocol/delegate.ts";
import { execCommand } from "../cni/protocol/edges.ts";
import type { IpamHost } from "./host.ts";
import { readNodePolicy } from "./node-policy.ts";
import { IpamPlugins } from "./plugins.ts";

type Variables = Readonly<Record<string, string | undefined>>;

/** What the IPAM plugin works on in a process without an agent. Stores are loaded here: static addresses need none. */
export async function openHost(env: Variables, log: Log): Promise<IpamHost> {
  const { standAloneHost } = await import("./stand-alone-host.ts");
  const paths = pathsOf(env);
  const { step } = faultsFrom(env);
  return standAloneHost({ paths, policy: readNodePolicy(paths, env), log, ...(step && { step }) });
}

/** IPAM for the attach plugin's verbs in a process without an agent: our own plugin is called here. */
export function standAloneIpam(env: Variables, log: Log): IpamPlugins {
  const paths = pathsOf(env);
  return new IpamPlugins({
    exec: execCommand,
    askOwn: async (call) => {
      const { ipam } = await import("./plugin.ts");
      return (await ipam.verbs[call.verb]?.(call, await openHost(env, log))) ?? undefined;
    },
    aliases: () => readNodePolicy(paths, env).aliases ?? [],
    isFile: (path) => isRegularFile(onHost(paths.hostRoot, path)),
  });
}

const pathsOf = (env: Variables): Paths => ({ ...PATHS, ...pathsFrom(env) });

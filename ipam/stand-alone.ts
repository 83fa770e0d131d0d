import { faultsFrom } from "../cni/faults.ts";
import { type Log, PATHS, type Paths } from "../cni/host.ts";
import { onHost } from "../cni/host-root.ts";
import { pathsFrom } from "../cni/node-host.ts";
import { isRegularFile } from "../cni/protocol/delegate.ts";
import { execCommand } from "../cni/protocol/edges.ts";
import type { IpamHost } from "./host.ts";
import { readNodePolicy } from "./node-policy.ts";
import { ipam } from "./plugin.ts";
import { IpamPlugins } from "./plugins.ts";
import { standAloneHost } from "./stand-alone-host.ts";

type Variables = Readonly<Record<string, string | undefined>>;

/** What the IPAM plugin works on in a process without an agent. */
export function openHost(env: Variables, log: Log): IpamHost {
  const paths = pathsOf(env);
  const { step } = faultsFrom(env);
  return standAloneHost({ paths, policy: readNodePolicy(paths, env), log, ...(step && { step }) });
}

/** IPAM for the attach plugin's verbs in a process without an agent: our own plugin is called here. */
export function standAloneIpam(env: Variables, log: Log): IpamPlugins {
  const paths = pathsOf(env);
  return new IpamPlugins({
    exec: execCommand,
    askOwn: async (call) => (await ipam.verbs[call.verb]?.(call, openHost(env, log))) ?? undefined,
    aliases: () => readNodePolicy(paths, env).aliases ?? [],
    isFile: (path) => isRegularFile(onHost(paths.hostRoot, path)),
  });
}

const pathsOf = (env: Variables): Paths => ({ ...PATHS, ...pathsFrom(env) });

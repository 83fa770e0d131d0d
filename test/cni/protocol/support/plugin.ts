import { dispatch, type Plugin } from "../../../../cni/protocol/dispatch.ts";
import type { Call, CniResponse } from "../../../../cni/protocol/request.ts";
import { emptyResult, mergeResult, type Result } from "../../../../cni/protocol/result.ts";

/** What a runtime sets for an attachment. */
export const BASE = {
  CNI_CONTAINERID: "c1",
  CNI_NETNS: "/run/netns/p",
  CNI_IFNAME: "net1",
  CNI_PATH: "/opt/cni/bin",
} as const;

export const CONFIG = { cniVersion: "1.1.0", name: "n", type: "ref" } as const;

/** The answer of dispatch(), its output decoded, and the call that the plugin got, if it got one. */
export interface Answer extends CniResponse {
  readonly json?: { code?: number; msg?: string; details?: string; cniVersion?: string; [key: string]: unknown };
  readonly call?: Call;
}

/** Asks a plugin whose ADD adds one interface and `added`, and whose other verbs succeed. */
export async function ask(
  env: Readonly<Record<string, string>>,
  stdin: string | object = CONFIG,
  added: Partial<Result> = {},
): Promise<Answer> {
  const calls: Call[] = [];
  const seen = async (call: Call): Promise<void> => void calls.push(call);
  const plugin: Plugin<undefined> = {
    name: "ref",
    about: "CNI plugin ref v0",
    verbs: {
      ADD: async (call) => {
        await seen(call);
        const ours = {
          name: call.ifname,
          mac: "02:00:00:00:00:01",
          mtu: 9000,
          sandbox: call.netns,
          pciID: "0000:08:00.2",
        };
        return mergeResult(call.prevResult, ours, { ...emptyResult(), ...added }, call.config.dns);
      },
      CHECK: seen,
      DEL: seen,
      GC: seen,
      STATUS: seen,
    },
  };
  const text = typeof stdin === "string" ? stdin : JSON.stringify(stdin);
  const response = await dispatch(plugin, { name: "ref", env, stdin: text }, undefined);
  return {
    ...response,
    ...(response.stdout && { json: JSON.parse(response.stdout) }),
    ...(calls[0] && { call: calls[0] }),
  };
}

/** The same for one verb with everything that it needs. */
export const call = (verb: string, stdin?: string | object, env: Record<string, string> = {}): Promise<Answer> =>
  ask({ ...BASE, CNI_COMMAND: verb, ...env }, stdin);

export const without = (...names: (keyof typeof BASE)[]): Record<string, string> =>
  Object.fromEntries(Object.entries(BASE).filter(([name]) => !(names as string[]).includes(name)));

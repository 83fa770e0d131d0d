import { isIpamName, isRdmaName } from "../../cni/plugin.ts";
import { readArgs } from "../../cni/protocol/environment.ts";
import type { CniRequest, CniResponse } from "../../cni/protocol/request.ts";
import { isVerb } from "../../cni/protocol/version.ts";

/** What a call says about itself, for logs, events and metrics. None of it is checked; missing values are empty. */
export interface Facts {
  readonly plugin: PluginName;
  readonly verb: string;
  readonly containerID: string;
  readonly ifname: string;
  readonly pod: PodName;
  /** Name of the network configuration. */
  readonly network: string;
  /** PCI address of the VF. */
  readonly pci: string;
}

/** The few names under which calls are counted, whatever their callers say. */
export type PluginName = "railnet-sriov" | "railnet-ipam" | "rdma";

export interface PodName {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

export const pluginOf = (name: string): PluginName =>
  isIpamName(name) ? "railnet-ipam" : isRdmaName(name) ? "rdma" : "railnet-sriov";

/** `other` for an unknown verb: callers must not be able to create counters. */
export const verbOf = ({ env: { CNI_COMMAND: verb = "" } }: CniRequest): string =>
  isVerb(verb) || verb === "VERSION" ? verb : "other";

/** Never throws. */
export function factsOf(request: CniRequest): Facts {
  const { CNI_CONTAINERID: containerID = "", CNI_IFNAME: ifname = "" } = request.env;
  const { network, pci } = configFacts(request.stdin);
  return {
    plugin: pluginOf(request.name),
    verb: verbOf(request),
    containerID,
    ifname,
    pod: podOf(request.env),
    network,
    pci,
  };
}

/** From `CNI_ARGS`, `K8S_POD_NAME=a;K8S_POD_NAMESPACE=b;…`, as every Kubernetes runtime sets it. */
function podOf({ CNI_ARGS = "" }: CniRequest["env"]): PodName {
  const { K8S_POD_NAMESPACE: namespace = "", K8S_POD_NAME: name = "", K8S_POD_UID: uid = "" } = readArgs(CNI_ARGS);
  return { namespace, name, uid };
}

/** `namespace/name`, empty if the runtime did not pass them. */
export const podText = ({ namespace, name }: PodName): string => (namespace && name ? `${namespace}/${name}` : "");

function configFacts(stdin: string): Pick<Facts, "network" | "pci"> {
  try {
    const config = JSON.parse(stdin);
    const pci = config?.runtimeConfig?.deviceID || config?.deviceID || config?.pciBusID;
    return { network: text(config?.name), pci: text(pci) };
  } catch {
    return { network: "", pci: "" };
  }
}

const text = (value: unknown): string => (typeof value === "string" ? value : "");

/** The error in a response; code 0 if there is none. Never throws. */
export function outcomeOf({ exit, stdout }: CniResponse): { readonly code: number; readonly message: string } {
  if (exit === 0) return { code: 0, message: "" };
  try {
    const { code, msg, details } = JSON.parse(stdout);
    const message = [msg, details].filter(Boolean).join("; ");
    return { code: Number.isInteger(code) && code > 0 ? code : 100, message };
  } catch {
    return { code: 100, message: stdout };
  }
}

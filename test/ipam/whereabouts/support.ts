import { type Call, readRequest } from "../../../cni/protocol/request.ts";
import type { NodePolicy } from "../../../ipam/host.ts";
import { type IpamConfig, readIpamConfig } from "../../../ipam/whereabouts/config.ts";

/** Where Whereabouts' installer puts it. */
export const FLAT_FILE = "/etc/cni/net.d/whereabouts.d/whereabouts.conf";

/** A call and the node that it comes to. */
export interface Given {
  readonly verb?: string;
  readonly version?: string;
  readonly ipam?: unknown;
  /** Beside `ipam` in the network configuration. */
  readonly rest?: object;
  /** CNI_ARGS; default: a pod. */
  readonly args?: string;
  /** Texts of the node's files by path; default: a flat file that names a kubeconfig. */
  readonly files?: Readonly<Record<string, string>>;
  readonly policy?: NodePolicy;
}

export const POD = "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=p1";

export const environment = ({ verb = "ADD", args = POD }: Given): Record<string, string> => ({
  CNI_COMMAND: verb,
  CNI_CONTAINERID: "c1",
  CNI_NETNS: "/run/netns/p1",
  CNI_IFNAME: "net1",
  CNI_PATH: "/opt/cni/bin",
  CNI_ARGS: args,
});

/** The network configuration as a runtime hands it over. `ipam` that is no object stays as it is. */
export function configuration({ version = "1.0.0", ipam = {}, rest = {} }: Given): string {
  const isObject = typeof ipam === "object" && ipam !== null && !Array.isArray(ipam);
  return JSON.stringify({
    cniVersion: version,
    name: "net",
    type: "macvlan",
    ipam: isObject ? { type: "whereabouts", ...ipam } : ipam,
    ...rest,
  });
}

export const callOf = (given: Given): Call =>
  readRequest({ name: "whereabouts", env: environment(given), stdin: configuration(given) });

/** @param warnings what is logged as a warning, in order. */
export function read(given: Given, warnings: object[] = []): IpamConfig {
  const files = given.files ?? { [FLAT_FILE]: JSON.stringify({ kubernetes: { kubeconfig: "/k" } }) };
  return readIpamConfig(callOf(given), {
    readText: (path) => files[path],
    policy: given.policy ?? {},
    stateDir: "/var/lib/railnet",
    log: { info: () => {}, warn: (fields) => warnings.push(fields) },
  });
}

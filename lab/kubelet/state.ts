import { isDeepStrictEqual } from "node:util";
import type { Test } from "tap";
import type { Json } from "../cluster/raw.ts";
import { until } from "../until.ts";
import type { RailPlace } from "./computer.ts";

const OBJECTS = "/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system";
/** Allows for a busy machine; addresses are released after the DEL, their pool's view follows some seconds later. */
const SETTLE_MS = 90_000;

/**
 * After an agent was killed in an ADD, its request for an address may arrive after the DEL (test/cluster/faults/late-request).
 * The DEL's record is found by the next agent (15 s) and released once more when no request can arrive (65 s); else the node's
 * GC does it: up to a look (60 s), the grace (60 s), another look. Then as long as above for the view.
 */
export const KILLED_SETTLE_MS = 180_000 + SETTLE_MS;

/** What pods of namespace `default` and Railnet leave or hold, as other programs see it. */
export interface State {
  /** `name MAC MTU` of every link of a rail that is on the node. */
  readonly links: readonly string[];
  /** Files of Railnet's journals, and of device-info. */
  readonly files: readonly string[];
  /** Addresses that are reserved, with who has them. */
  readonly reservations: readonly string[];
  /** The same of the pools. */
  readonly records: readonly string[];
  /** That run, of pods of namespace `default`. */
  readonly sandboxes: readonly string[];
}

export async function look(cluster: RailPlace): Promise<State> {
  const { api, containerd, node, rails } = cluster;
  const names = new Set(rails.flatMap(({ name, vfs }) => [name, ...vfs.map(({ netdev }) => netdev)]));
  const links: Json[] = JSON.parse(await node.exec(["ip", "-j", "-d", "link"]));
  const dirs = ["/var/lib/railnet/attachments", "/var/lib/railnet/ipam", "/var/run/k8s.cni.cncf.io/devinfo/cni"];
  const files = await node.run(["find", ...dirs, "-type", "f"]);
  const sandboxes: Json[] = (await containerd.crictl("pods", "--state", "ready")).items; // others the kubelet removes once a minute
  return {
    links: links
      .filter(({ ifname }) => names.has(ifname))
      .map(({ ifname, address, mtu }) => `${ifname} ${address} ${mtu}`)
      .sort(),
    files: files.stdout.split("\n").filter(Boolean).sort(),
    reservations: (await api.raw.list(`${OBJECTS}/overlappingrangeipreservations`))
      .map(({ metadata, spec }) => `${metadata.name} ${spec.podref} ${spec.ifname}`)
      .sort(),
    records: (await api.raw.list(`${OBJECTS}/ippools`))
      .flatMap(({ spec }) => Object.values<Json>(spec.allocations).map(({ podref, ifname }) => `${podref} ${ifname}`))
      .sort(),
    sandboxes: sandboxes
      .filter(({ metadata }) => metadata.namespace === "default")
      .map(({ metadata }) => metadata.name)
      .sort(),
  };
}

/** Asserts that the state becomes `wanted`: what is released after a DEL takes its time. */
export async function becomes(t: Test, cluster: RailPlace, wanted: State, limitMs = SETTLE_MS): Promise<void> {
  let seen: State | undefined;
  const is = async () => {
    seen = await look(cluster);
    return isDeepStrictEqual(seen, wanted);
  };
  await until("nothing is left", is, { limitMs, everyMs: 500 }).catch(() => {});
  t.same(seen, wanted, "links, journals, device-info files, addresses and sandboxes are as before");
}

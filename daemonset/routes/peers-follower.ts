import type { Log } from "../../cni/host.ts";
import { type Cluster, type KubeObject, NODES } from "../../kubernetes/cluster.ts";
import { Informer } from "../../kubernetes/informer.ts";
import { beforeAbort, pause } from "../loop.ts";
import { RAIL_PEERS, type RailPeer } from "./object.ts";
import type { PeersSeen } from "./peers-file.ts";

export interface PeersFollowerOptions {
  readonly cluster: Cluster;
  /** Name of this node in the cluster. */
  readonly node: string;
  readonly log: Log;
  /** Never called before all was heard once: what is not all there yet would take routes away. */
  readonly onSeen: (seen: PeersSeen, own: OwnObjects) => void;
}

/** What of the cluster is this node's. */
export interface OwnObjects {
  readonly nodeUid: string;
  readonly published: RailPeer | undefined;
}

/** A Node, as far as it matters here. */
interface NodeAddresses extends KubeObject {
  readonly spec?: { readonly podCIDRs?: readonly string[] };
  readonly status?: { readonly addresses?: readonly { readonly type: string; readonly address: string }[] };
}

const CONTROL_PLANE = "node-role.kubernetes.io/control-plane";
/** Many changes at once, as when nodes come by the hundred, are one. */
const GATHER_MS = 1_000;

/** Follows all RailPeers and this node's Node until `signal`. Never rejects. */
export async function followPeers(options: PeersFollowerOptions, signal: AbortSignal): Promise<void> {
  const { cluster, node, log, onSeen } = options;
  let isSynced = false;
  let isGathering = false;
  const onError = (err: Error) => log.debug({ err }, "cannot follow RailPeers; it is tried again");
  const onChange = () => {
    if (!isSynced || isGathering) return;
    isGathering = true;
    void pause(GATHER_MS * (0.5 + Math.random()), signal).then(tell);
  };
  const shared = { signal, onError, onChange };
  const peers = Informer.start<RailPeer>(cluster, RAIL_PEERS, shared);
  const nodes = Informer.start<NodeAddresses>(cluster, NODES, { ...shared, fieldSelector: `metadata.name=${node}` });
  function tell(): void {
    isGathering = false;
    if (signal.aborted) return;
    const own = nodes.objects.get(node);
    const addresses = own?.status?.addresses ?? [];
    const primary = addresses.find(({ type, address }) => type === "InternalIP" && !address.includes(":"))?.address;
    if (!own || primary === undefined) return; // a Node that is just being made again
    const all = [...peers.objects.values()].map(({ metadata: { name }, spec }) => ({ metadata: { name }, spec }));
    const isControlPlane = CONTROL_PLANE in (own.metadata.labels ?? {});
    const peersSeen = all.sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
    const seen = { primary, isControlPlane, peers: peersSeen, podCIDRs: own.spec?.podCIDRs ?? [] };
    onSeen(seen, { nodeUid: own.metadata.uid!, published: peers.objects.get(node) });
  }
  if (!(await beforeAbort(Promise.all([peers.synced, nodes.synced]), signal))) return;
  isSynced = true;
  tell();
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}

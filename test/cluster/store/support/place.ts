// Kubernetes stores over a real API server, and what is in it as an administrator sees it.

import { connect } from "../../../../ipam/connect.ts";
import type { Mode } from "../../../../ipam/mode.ts";
import { KubernetesStore, type KubernetesStoreOptions } from "../../../../ipam/store/kubernetes.ts";
import type { Pool } from "../../../../ipam/store/store.ts";
import type { Cluster } from "../../../../kubernetes/cluster.ts";
import { ApiServer } from "../../../../lab/cluster/api-server.ts";
import { installAgent, installCrds } from "../../../../lab/cluster/install.ts";
import type { Json } from "../../../../lab/cluster/raw.ts";

export const OBJECTS = "/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system";
const SILENT = { info: () => {}, warn: () => {} };

export class StorePlace implements AsyncDisposable {
  readonly api: ApiServer;
  readonly #token: string;

  private constructor(api: ApiServer, token: string) {
    this.api = api;
    this.#token = token;
  }

  static async start(): Promise<StorePlace> {
    const api = await ApiServer.start();
    await installCrds(api.raw);
    return new StorePlace(api, await installAgent(api));
  }

  /** With the rights of manifests/rbac.yaml. @param server where requests go: a proxy in front, say. */
  cluster(server = this.api.url, timeLimitMs = 10_000): Promise<Cluster> {
    const kubeconfig = this.api.kubeconfig({ server, token: this.#token, namespace: "kube-system" });
    return connect({ kubeconfig, timeLimitMs });
  }

  async open(mode: Mode | (() => Mode), options: Partial<KubernetesStoreOptions> = {}) {
    const cluster = options.cluster ?? (await this.cluster());
    const ask = typeof mode === "string" ? () => mode : mode;
    return new KubernetesStore({ mode: ask, log: SILENT, createsAdopted: true, gapMs: 0, ...options, cluster });
  }

  /** The records of a pool: key to record. */
  async records(name: string): Promise<Record<string, Json>> {
    const { status, body } = await this.api.raw.request("GET", `${OBJECTS}/ippools/${name}`);
    return status === 404 ? {} : body.spec.allocations;
  }

  async reservations(network?: string): Promise<Json[]> {
    const all = await this.api.raw.list(`${OBJECTS}/overlappingrangeipreservations`);
    return all.filter(({ metadata }) => network === undefined || metadata.name.startsWith(network));
  }

  /** Container ID by address: of the reservations through a pool. */
  async reservedIn({ name, network }: Pool): Promise<Map<string, string>> {
    const mine = (await this.reservations(network)).filter(
      ({ metadata }) => metadata.labels["railnet.io/pool"] === name,
    );
    return new Map(mine.map(({ metadata, spec }) => [ipOf(metadata.name.slice(network.length + 1)), spec.containerid]));
  }

  /** Container ID by address: of the records of a pool. */
  async recordedIn({ name, cidr }: Pool): Promise<Map<string, string>> {
    const base = cidr.split("/")[0]!;
    return new Map(Object.entries(await this.records(name)).map(([key, { id }]) => [plus(base, BigInt(key)), id]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.api.stop();
  }
}

/** Of the part of a reservation's name that is the address. */
const ipOf = (name: string): string => (name.includes("-") ? compressed(name.replaceAll("-", ":")) : name);

/** As a URL prints it. */
const compressed = (ip: string): string => new URL(`http://[${ip}]`).hostname.slice(1, -1);

/** An address that is `offset` behind another. */
function plus(base: string, offset: bigint): string {
  if (!base.includes(":")) {
    const value = base.split(".").reduce((sum, octet) => sum * 256 + Number(octet), 0) + Number(offset);
    return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join(".");
  }
  const digits = offset.toString(16).padStart(16, "0");
  return compressed(
    `${base.replace("::", "")}${":0".repeat(4 - base.replace("::", "").split(":").length)}:${digits.match(/.{4}/g)!.join(":")}`,
  );
}

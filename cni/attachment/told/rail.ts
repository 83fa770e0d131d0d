/** A rail of a pod, as the pod is told of it: an entry of `rails.json`, version 1 (docs/workload.md). */
export interface ToldRail {
  readonly name: string;
  readonly interface: string;
  /** With prefix lengths. */
  readonly addresses: readonly string[];
  readonly gateways: readonly string[];
  /** Of the VF. */
  readonly pci: string;
  readonly pf?: { readonly name: string; readonly pci: string; readonly vf: number };
  readonly mac?: string;
  /** Bytes: of the link. */
  readonly mtu?: number;
  readonly numaNode?: number;
  readonly pcieRoot?: string;
  /** Those with the most bridges in common with the VF's PF. */
  readonly gpus?: readonly string[];
  readonly rdma?: ToldRdma;
}

export interface ToldRdma {
  readonly device: string;
  readonly port: number;
  /** When the pod was attached: `ACTIVE`. */
  readonly state: string;
  readonly speedGbps?: number;
  /** Bytes: of RoCE packets. */
  readonly mtu?: number;
  /** Declared for the rail: IP's TOS byte of RoCE packets. */
  readonly trafficClass?: number;
  /** Of the first address that the table has; absent without one. */
  readonly gidIndex?: number;
  readonly gid?: string;
  /** Of each address, RoCE v2. */
  readonly gids: readonly { readonly address: string; readonly index: number; readonly gid: string }[];
}

/** The files of a pod, by name. Pure. */
export const filesOf = (rails: readonly ToldRail[]): Readonly<Record<string, string>> => ({
  "rails.json": `${JSON.stringify({ version: 1, rails }, undefined, 2)}\n`,
  "nccl.conf": linesOf(ncclOf(rails)),
  env: linesOf([...ncclOf(rails), ...othersOf(rails)]),
});

/** A variable, and why it has this value; without one, why it is not said. */
interface Setting {
  readonly key: string;
  readonly value?: string;
  readonly why: string;
}

/** No comment has an equals sign: NCCL takes every line that has one for a variable (src/misc/param.cc). */
const linesOf = (settings: readonly Setting[]): string =>
  settings
    .map(({ key, value, why }) =>
      value === undefined ? `# ${key} is not set: ${why}\n` : `# ${why}\n${key}=${value}\n`,
    )
    .join("");

type WithRdma = ToldRail & { readonly rdma: ToldRdma };
const withRdma = (rails: readonly ToldRail[]): WithRdma[] => rails.filter((one): one is WithRdma => one.rdma !== undefined); // biome-ignore format: one row

function ncclOf(rails: readonly ToldRail[]): Setting[] {
  const rdma = withRdma(rails);
  const interfaces = rails.map((one) => one.interface).join(",");
  const socket = { key: "NCCL_SOCKET_IFNAME", value: `=${interfaces}`, why: "the rails, by exact name" };
  if (rdma.length === 0)
    return [
      { key: "NCCL_IB_HCA", why: "no rail of this pod has an RDMA device" },
      ...(rails.length > 0 ? [socket] : []),
    ];
  return [
    {
      key: "NCCL_IB_HCA",
      value: `=${rdma.map(({ rdma: { device, port } }) => `${device}:${port}`).join(",")}`,
      why: `RDMA devices in the order of the rails (${rdma.map(({ name }) => name).join(", ")}), by exact name`,
    },
    gidIndex("NCCL_IB_GID_INDEX", rdma),
    ...trafficClass("NCCL_IB_TC", rdma),
    socket,
  ];
}

function othersOf(rails: readonly ToldRail[]): Setting[] {
  const rdma = withRdma(rails);
  const gloo = rails.map((one) => one.interface).join(",");
  return [
    ...(rdma.length === 0
      ? []
      : [
          {
            key: "UCX_NET_DEVICES",
            value: rdma.map(({ rdma: { device, port } }) => `${device}:${port}`).join(","),
            why: "the same devices for UCX",
          },
          gidIndex("UCX_IB_GID_INDEX", rdma),
          ...trafficClass("UCX_IB_TRAFFIC_CLASS", rdma),
        ]),
    ...(gloo === "" ? [] : [{ key: "GLOO_SOCKET_IFNAME", value: gloo, why: "the rails for Gloo" }]),
  ];
}

/** One for all rails, or none; nothing where none is declared. */
function trafficClass(key: string, rails: readonly WithRdma[]): Setting[] {
  const classes = new Set(rails.map(({ rdma }) => rdma.trafficClass));
  const [one] = classes;
  if (classes.size === 1)
    return one === undefined ? [] : [{ key, value: `${one}`, why: "declared for every rail (expect.trafficClass)" }];
  const each = rails.map(({ name, rdma }) => `${name} ${rdma.trafficClass ?? "none"}`).join(", ");
  return [{ key, why: `it is not one for all rails (${each})` }];
}

/** One number for all rails, or none. */
function gidIndex(key: string, rails: readonly WithRdma[]): Setting {
  const indices = new Set(rails.map(({ rdma }) => rdma.gidIndex));
  const [index] = indices;
  if (indices.size === 1 && index !== undefined)
    return { key, value: `${index}`, why: "where every rail has the RoCE v2 GID of its address" };
  const each = rails.map(({ name, rdma }) => `${name} ${rdma.gidIndex ?? "none"}`).join(", ");
  return { key, why: `it is not one for all rails (${each})` };
}

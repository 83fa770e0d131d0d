import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename, join } from "node:path";

// `root` is sysfs as the namespace shows it whose RDMA devices are looked at. What is not there is absent; nothing throws.

/** What a port has moved, both ends of it; `*_data` are words of four bytes (IBTA, PortCounters). */
const TRAFFIC = ["port_xmit_data", "port_rcv_data", "port_xmit_packets", "port_rcv_packets"] as const;

/**
 * What tells of a sick fabric or peer, a bounded list of drivers' own names: loss and order (mlx5's `out_of_sequence`, rxe's
 * `out_of_seq_request`), time-outs, congestion (CNP), and what a port discards (Documentation/infiniband/sysfs.rst; NVIDIA's
 * "RDMA counters").
 */
export const RDMA_EVENTS = [
  "port_rcv_errors",
  "port_xmit_discards",
  "port_xmit_wait",
  "link_downed",
  "out_of_sequence",
  "out_of_seq_request",
  "packet_seq_err",
  "duplicate_request",
  "local_ack_timeout_err",
  "rnr_nak_retry_err",
  "implied_nak_seq_err",
  "retry_exceeded_err",
  "out_of_buffer",
  "np_cnp_sent",
  "np_ecn_marked_roce_packets",
  "rp_cnp_handled",
  "rp_cnp_ignored",
  "roce_adp_retrans",
  "rx_icrc_encapsulated",
] as const;

export interface RdmaCounts {
  readonly sentBytes?: number;
  readonly receivedBytes?: number;
  readonly sentPackets?: number;
  readonly receivedPackets?: number;
  /** By name, those of {@link RDMA_EVENTS} that the driver has. */
  readonly events: Readonly<Record<string, number>>;
}

/** The first port's. One file is one question to the driver, mlx5's port counters each one to the firmware. */
export function rdmaCountsOf(root: string, device: string): RdmaCounts | undefined {
  const ports = join(root, "class/infiniband", device, "ports");
  const port = entries(ports).sort()[0];
  if (port === undefined) return undefined;
  const files = new Map(["hw_counters", "counters"].flatMap((kind) => entries(join(ports, port, kind)).map((name) => [name, join(ports, port, kind, name)] as const))); // biome-ignore format: one row
  const value = (name: string): number | undefined => number(files.get(name));
  const [sentWords, receivedWords, sent, received] = TRAFFIC.map(value);
  const sentPackets = sent ?? value("sent_pkts"); // rxe
  const receivedPackets = received ?? value("rcvd_pkts");
  const events = RDMA_EVENTS.flatMap((name) => {
    const count = value(name);
    return count === undefined ? [] : [[name, count] as const];
  });
  return {
    ...(sentWords !== undefined && { sentBytes: 4 * sentWords }),
    ...(receivedWords !== undefined && { receivedBytes: 4 * receivedWords }),
    ...(sentPackets !== undefined && { sentPackets }),
    ...(receivedPackets !== undefined && { receivedPackets }),
    events: Object.fromEntries(events),
  };
}

/** Names of the RDMA devices of a function that this namespace shows. */
export const rdmaDevicesSeen = (root: string, pci: string): string[] =>
  entries(join(root, "class/infiniband")).filter((name) => {
    try {
      return basename(readlinkSync(join(root, "class/infiniband", name, "device"))) === pci;
    } catch {
      return false;
    }
  });

function number(file: string | undefined): number | undefined {
  if (file === undefined) return undefined;
  try {
    const text = readFileSync(file, "utf8").trim();
    return /^\d+$/.test(text) ? Number(text) : undefined;
  } catch {
    return undefined;
  }
}

function entries(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}

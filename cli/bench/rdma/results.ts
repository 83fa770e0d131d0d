import type { Transport } from "./path.ts";

/** What stands in the file of results; docs/bench-rdma.schema.json is its JSON schema. */
export const SCHEMA = "railnet.io/bench-rdma/v1";

/** Of perftest: `ib_write_bw`, `ib_read_bw`, `ib_send_bw`. */
export type BandwidthTest = "write" | "read" | "send";

/** `alone`: one rail of a node at a time; `at-once`: all its rails; `incast`: all others send to one node. */
export type BenchMode = "alone" | "at-once" | "incast";

/** Bandwidth of one rail from one node to another: one cell of a matrix. */
export interface Cell {
  readonly side: "pod" | "host";
  readonly mode: BenchMode;
  readonly test: BandwidthTest;
  readonly rail: string;
  /** Where the bytes come from, and go to: names of ends. */
  readonly from: string;
  readonly to: string;
  readonly transport: Transport;
  /** 10^9 bits a second; absent with `error`. */
  readonly gbps?: number;
  /** Of the queue pair. */
  readonly mtuBytes?: number;
  /** Of `ib_write_lat`, half a round trip; in the cells of write, alone. */
  readonly typicalUs?: number;
  readonly p99Us?: number;
  /** By message size, where sizes were swept. */
  readonly sizes?: readonly { readonly bytes: number; readonly gbps: number }[];
  readonly error?: string;
}

/** What one end has on one rail, as far as it is known: what likely causes are looked for in. */
export interface EndRail {
  readonly link?: string;
  readonly address?: string;
  readonly device?: string;
  readonly gidIndex?: number;
  readonly linkMtu?: number;
  /** Mb/s. */
  readonly speed?: number;
  readonly portState?: string;
  /** Of the PF's slot, as its RailNode says: `16.0 GT/s x16`. */
  readonly pcie?: string;
  readonly firmware?: string;
  /** How much counters of the device grew while the bench ran; none where nothing grew. */
  readonly grown?: Readonly<Record<string, number>>;
}

/** A node, or one of two places on a node that was named twice. */
export interface BenchEnd {
  readonly name: string;
  readonly node: string;
  readonly kernel?: string;
  readonly perftest?: string;
  /** Zone, rack: labels `topology.kubernetes.io/…`. */
  readonly topology?: Readonly<Record<string, string>>;
  readonly rails: Readonly<Record<string, EndRail>>;
  /** Why it could not take part. */
  readonly error?: string;
}

/** Something that is not like the rest: which node, rail or way between two nodes. */
export interface OddOne {
  readonly side: Cell["side"];
  readonly mode: BenchMode;
  readonly test: BandwidthTest;
  readonly kind: "rail" | "node" | "node-rail" | "path";
  /** Absent for a node that is slow on all of them. */
  readonly rail?: string;
  /** One for a node; two, from and to, for what is between them; none for a whole rail. */
  readonly ends: readonly string[];
  /** Of `node` and `node-rail`: what is slow; of `path`: `both` ways or the one from the first end. */
  readonly direction: "sends" | "receives" | "both";
  /** Of what the others reach; 0 where nothing could be measured. */
  readonly percent: number;
  readonly causes: readonly string[];
}

export interface GateFailure {
  readonly rail: string;
  readonly from?: string;
  readonly to?: string;
  readonly side: Cell["side"];
  readonly why: string;
}

export interface BenchResults {
  readonly schema: typeof SCHEMA;
  /** ISO 8601. */
  readonly begun: string;
  readonly ended: string;
  readonly versions: { readonly railnet: string; readonly kubernetes?: string; readonly image: string };
  readonly settings: Readonly<Record<string, string | number | boolean>>;
  readonly rails: readonly string[];
  readonly ends: readonly BenchEnd[];
  readonly cells: readonly Cell[];
  readonly odd: readonly OddOne[];
  readonly failures: readonly GateFailure[];
}

/** Cells that can be compared with each other: one matrix. */
export interface Matrix {
  readonly side: Cell["side"];
  readonly mode: BenchMode;
  readonly test: BandwidthTest;
  readonly rail: string;
  readonly transport: Transport;
  readonly cells: readonly Cell[];
}

/** By rail, side, mode, test and transport; a cell that could not be measured is in the matrix of its planned transport. */
export function matricesOf(cells: readonly Cell[]): Matrix[] {
  const matrices = new Map<string, { of: Omit<Matrix, "cells">; cells: Cell[] }>();
  for (const cell of cells) {
    const { side, mode, test, rail, transport } = cell;
    const key = [side, mode, test, transport, rail].join(" ");
    const matrix = matrices.get(key) ?? { of: { side, mode, test, rail, transport }, cells: [] };
    matrix.cells.push(cell);
    matrices.set(key, matrix);
  }
  return [...matrices.values()].map(({ of, cells }) => ({ ...of, cells }));
}

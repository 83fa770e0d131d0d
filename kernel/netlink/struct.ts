import { macBytes, macText } from "./mac-bytes.ts";

/** Kinds of fields in a kernel struct, host byte order (little endian) unless the name says otherwise. */
type Kind = "u8" | "u16" | "u32" | "be16" | "mac";
type Value<K extends Kind> = K extends "mac" ? string : number;
type Fields = readonly (readonly [name: string, offset: number, kind: Kind])[];
type Values<F extends Fields> = { [E in F[number] as E[0]]: Value<E[2]> };

const SIZE: Record<Kind, number> = { u8: 1, u16: 2, u32: 4, be16: 2, mac: 6 };

/** A kernel struct as one table, used in both directions. */
export interface Struct<V> {
  readonly size: number;
  /** @throws {RangeError} when a value does not fit its field. */
  encode(values: V): Buffer;
  /** @throws {Error} unless there are exactly as many bytes as the struct has. */
  decode(bytes: Buffer): V;
}

/** @throws {Error} at start-up when fields overlap, are out of order or do not fit into `size` bytes. */
export function struct<const F extends Fields>(name: string, size: number, fields: F): Struct<Values<F>> {
  let end = 0;
  for (const [field, offset, kind] of fields) {
    if (offset < end || offset + SIZE[kind] > size)
      throw new Error(`cannot use the table of ${name}: ${field} overlaps or is outside its ${size} bytes`);
    end = offset + SIZE[kind];
  }
  return {
    size,
    encode(values) {
      const bytes = Buffer.alloc(size);
      for (const [field, offset, kind] of fields)
        write(bytes, offset, kind, (values as Record<string, number | string>)[field]!);
      return bytes;
    },
    decode(bytes) {
      if (bytes.length !== size) throw new Error(`cannot read ${name}: it has ${bytes.length} bytes, want ${size}`);
      return Object.fromEntries(fields.map(([field, offset, kind]) => [field, read(bytes, offset, kind)])) as Values<F>;
    },
  };
}

function write(bytes: Buffer, offset: number, kind: Kind, value: number | string): void {
  if (kind === "mac") {
    const mac = macBytes(value as string);
    if (mac.length !== SIZE.mac)
      throw new RangeError(`cannot use ${value}: it has ${mac.length} bytes, want ${SIZE.mac}`);
    mac.copy(bytes, offset);
  } else if (kind === "u8") bytes.writeUInt8(value as number, offset);
  else if (kind === "u16") bytes.writeUInt16LE(value as number, offset);
  else if (kind === "u32") bytes.writeUInt32LE(value as number, offset);
  else bytes.writeUInt16BE(value as number, offset);
}

function read(bytes: Buffer, offset: number, kind: Kind): number | string {
  if (kind === "mac") return macText(bytes.subarray(offset, offset + SIZE.mac));
  if (kind === "u8") return bytes.readUInt8(offset);
  if (kind === "u16") return bytes.readUInt16LE(offset);
  return kind === "u32" ? bytes.readUInt32LE(offset) : bytes.readUInt16BE(offset);
}

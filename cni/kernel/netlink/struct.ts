/** Kinds of fields in a kernel struct, host byte order (little endian) unless the name says otherwise. */
type Kind = "u32" | "be16" | "mac";
type Value<K extends Kind> = K extends "mac" ? string : number;
type Fields = readonly (readonly [name: string, offset: number, kind: Kind])[];
type Values<F extends Fields> = { [E in F[number] as E[0]]: Value<E[2]> };

const SIZE: Record<Kind, number> = { u32: 4, be16: 2, mac: 6 };

/** A kernel struct as one table, used in both directions. */
export interface Struct<V> {
  encode(values: V): Buffer;
  /** @throws {Error} unless there are exactly as many bytes as the struct has. */
  decode(bytes: Buffer): V;
}

/** @throws {Error} at start-up when a field does not fit into `size` bytes. */
export function struct<const F extends Fields>(name: string, size: number, fields: F): Struct<Values<F>> {
  for (const [field, offset, kind] of fields)
    if (offset + SIZE[kind] > size) throw new Error(`${name}.${field} is outside its ${size} bytes`);
  return {
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
  if (kind === "u32") bytes.writeUInt32LE(value as number, offset);
  else if (kind === "be16") bytes.writeUInt16BE(value as number, offset);
  else bytes.write((value as string).replaceAll(":", ""), offset, "hex");
}

function read(bytes: Buffer, offset: number, kind: Kind): number | string {
  if (kind === "u32") return bytes.readUInt32LE(offset);
  if (kind === "be16") return bytes.readUInt16BE(offset);
  return bytes.toString("hex", offset, offset + 6).replace(/(..)(?!$)/g, "$1:");
}

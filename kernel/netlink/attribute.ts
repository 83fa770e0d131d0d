const HEADER = 4;
/** Only newer attributes require it (`IFLA_PROP_LIST`); elsewhere ip(8) omits it, and so do we: every kernel accepts that. */
export const NLA_F_NESTED = 0x8000;
const NLA_TYPE_MASK = 0x3fff;

/** `struct nlattr`, include/uapi/linux/netlink.h, with the flags masked off. */
export interface Attribute {
  readonly type: number;
  readonly data: Buffer;
}

const align = (n: number): number => (n + 3) & ~3;

/**
 * No generator: a plugin call parses half a dozen links, before anything of it is compiled.
 *
 * @throws {Error} when a length does not fit.
 */
export function attributes(bytes: Buffer): Attribute[] {
  const found: Attribute[] = [];
  for (let at = 0; at + HEADER <= bytes.length; ) {
    const length = bytes.readUInt16LE(at);
    if (length < HEADER || at + length > bytes.length)
      throw new Error("cannot read a netlink attribute: its length is wrong");
    found.push({ type: bytes.readUInt16LE(at + 2) & NLA_TYPE_MASK, data: bytes.subarray(at + HEADER, at + length) });
    at += align(length);
  }
  return found;
}

export function attribute(type: number, data: Uint8Array): Buffer {
  const bytes = Buffer.alloc(align(HEADER + data.length));
  bytes.writeUInt16LE(HEADER + data.length, 0);
  bytes.writeUInt16LE(type, 2);
  bytes.set(data, HEADER);
  return bytes;
}

export const nested = (type: number, inner: readonly Buffer[]): Buffer => attribute(type, Buffer.concat(inner));
export const u8 = (type: number, value: number): Buffer => attribute(type, Buffer.from([value]));
export const text = (type: number, value: string): Buffer => attribute(type, Buffer.from(`${value}\0`));

export function u32(type: number, value: number): Buffer {
  const data = Buffer.alloc(4);
  data.writeUInt32LE(value);
  return attribute(type, data);
}

/** @throws {Error} unless there are exactly four bytes. */
export function readU32({ type, data }: Attribute): number {
  if (data.length !== 4) throw new Error(`cannot read attribute ${type}: it has ${data.length} bytes, want 4`);
  return data.readUInt32LE(0);
}

/** A string without its NUL. */
export const readText = ({ data }: Attribute): string => data.toString("utf8", 0, Math.max(0, data.length - 1));

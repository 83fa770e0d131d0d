/** One file of an archive. */
export interface TarEntry {
  /** Relative, without `..`; at most 255 bytes, of which at most 100 follow some `/`. */
  readonly path: string;
  readonly content: Uint8Array;
}

const BLOCK = 512;
/** Length of a header's fields, POSIX.1-1988 ustar (pax, "ustar Interchange Format"). */
const NAME = 100;
const PREFIX = 155;

/**
 * A file in the form of a tar archive: header, content, padding. Pure.
 *
 * @throws {Error} for a path that the format does not allow.
 */
export function tarEntry({ path, content }: TarEntry, seconds: number): Buffer {
  const header = Buffer.alloc(BLOCK);
  const { name, prefix } = split(path);
  header.write(name, 0);
  octal(header, 100, 8, 0o600); // mode
  octal(header, 108, 8, 0); // owner
  octal(header, 116, 8, 0); // group
  octal(header, 124, 12, content.length);
  octal(header, 136, 12, seconds);
  header.write("        ", 148); // the checksum is counted with spaces in its place
  header.write("0", 156); // a regular file
  header.write("ustar\u000000", 257);
  header.write(prefix, 345);
  octal(
    header,
    148,
    7,
    header.reduce((sum, byte) => sum + byte, 0),
  );
  return Buffer.concat([header, content, Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK)]);
}

/** Follows the last file. */
export const TAR_END = Buffer.alloc(2 * BLOCK);

function octal(header: Buffer, at: number, length: number, value: number): void {
  header.write(`${value.toString(8).padStart(length - 1, "0")}\0`, at);
}

function split(path: string): { name: string; prefix: string } {
  if (Buffer.byteLength(path) <= NAME) return { name: path, prefix: "" };
  for (let at = path.indexOf("/"); at >= 0; at = path.indexOf("/", at + 1)) {
    const [prefix, name] = [path.slice(0, at), path.slice(at + 1)];
    if (Buffer.byteLength(prefix) <= PREFIX && Buffer.byteLength(name) <= NAME) return { name, prefix };
  }
  throw new Error(`cannot put ${path} into a tar archive: the name is too long`);
}

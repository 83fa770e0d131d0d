/**
 * SHA-256 of a text, in hexadecimal. By the engine's own hasher where there is one: to load node:crypto, and the streams
 * that come with it, takes 2 ms of a plugin call.
 */
export const sha256 = (text: string): string =>
  globalThis.Bun
    ? new Bun.CryptoHasher("sha256").update(text).digest("hex")
    : process.getBuiltinModule("node:crypto").createHash("sha256").update(text).digest("hex");

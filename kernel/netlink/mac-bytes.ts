const HEX = "0123456789abcdef";

/**
 * A link-layer address as bytes: six for Ethernet, twenty for InfiniBand.
 *
 * @throws {Error} unless it is pairs of hex digits separated by colons.
 */
export function macBytes(mac: string): Buffer {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2})*$/i.test(mac))
    throw new Error(`cannot use ${JSON.stringify(mac)}: it is not a MAC address`);
  return Buffer.from(mac.replaceAll(":", ""), "hex");
}

/** Lower case with colons. */
export function macText(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i++) text += (i > 0 ? ":" : "") + HEX[bytes[i]! >> 4] + HEX[bytes[i]! & 15];
  return text;
}

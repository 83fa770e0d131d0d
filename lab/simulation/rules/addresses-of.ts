interface RangeConfig {
  readonly range: string;
  readonly range_start?: string;
  readonly range_end?: string;
}

export const numberOf = (ip: string): number => ip.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);

const textOf = (value: number): string => [24, 16, 8, 0].map((bits) => Math.floor(value / 2 ** bits) % 256).join(".");

/** What an IPv4 range of a configuration has to give: neither the network's own address nor broadcast. */
export function addressesOf({ range, range_start, range_end }: RangeConfig): string[] {
  const [network = "", bits] = range.split("/");
  const base = numberOf(network);
  const [first, last] = [numberOf(range_start ?? textOf(base + 1)), base + 2 ** (32 - Number(bits)) - 2];
  const end = range_end ? Math.min(numberOf(range_end), last) : last;
  return Array.from({ length: end - first + 1 }, (_, i) => textOf(first + i));
}

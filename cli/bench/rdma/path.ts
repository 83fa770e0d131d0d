import type { Place, Side } from "./place.ts";
import { addressOn, gidFor, type RdmaGid, type Survey } from "./survey.ts";

export type Transport = "rdma" | "tcp";

export interface PathEnd {
  readonly place: Place;
  readonly address: string;
  readonly gid: RdmaGid | undefined;
}

/** One rail between two places. */
export interface Path {
  readonly rail: string;
  readonly ends: readonly [PathEnd, PathEnd];
  /** TCP where an end has no RDMA device. */
  readonly transport: Transport;
  /** TCP port of the server: one for each rail, so that all can run at once. */
  readonly port: number;
}

/** perftest's own default; the rails follow. */
const FIRST_PORT = 18515;

/** @throws when an end does not have what a run needs; says which end, and what. */
export function pathOf(
  { places, rails }: Side,
  surveys: readonly Survey[],
  rail: string,
  programs = ["ib_write_bw", "ib_write_lat"],
): Path {
  const links = rails.get(rail)!;
  const ends = places.map((place, i): PathEnd => {
    const link = links[i];
    if (!link) throw new Error(`${place.name} does not have this rail`);
    const address = addressOn(surveys[i]!, link);
    if (!address) {
      const hint = surveys[i]!.programs.includes("ip") ? "is it up?" : "there is no ip(8), install iproute2";
      throw new Error(`${place.name} has no address on ${link}: ${hint}`);
    }
    return { place, address, gid: naming(place, () => gidFor(surveys[i]!, link, address)) };
  }) as [PathEnd, PathEnd];
  const transport = ends.every(({ gid }) => gid) ? "rdma" : "tcp";
  for (const [i, { place }] of ends.entries())
    requirePrograms(place, surveys[i]!, transport === "rdma" ? programs : ["iperf3"]);
  const port = FIRST_PORT + [...rails.keys()].indexOf(rail);
  return { rail, ends, transport, port };
}

function naming<T>(place: Place, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw new Error(`${place.name}: ${(error as Error).message}`);
  }
}

function requirePrograms(place: Place, { programs }: Survey, needed: readonly string[]): void {
  const missing = needed.filter((program) => !programs.includes(program));
  if (missing.length === 0) return;
  const why = needed.includes("iperf3") ? "there is no RDMA device, and TCP needs it" : "install perftest";
  throw new Error(`${place.name} has no ${missing.join(", ")}: ${why}`);
}

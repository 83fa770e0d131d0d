import type { Stream } from "./stream.ts";

/** The way of one machine to the API servers. A request on a way that is cut hangs until its deadline; watches are silent. */
export interface Link {
  readonly name: string;
  /** Nothing arrives at the servers. */
  isCutOut: boolean;
  /** Nothing comes back from them. */
  isCutIn: boolean;
  readonly streams: Set<Stream>;
}

/** Whole again. What happens to its streams is drawn: they go on, break, or stay silent for ever. */
export function mend(link: Link, pick: (ways: readonly Aftermath[]) => Aftermath): void {
  link.isCutIn = link.isCutOut = false;
  for (const stream of [...link.streams]) stream.afterCut(pick(["on", "reset", "reset", "silent"]));
}

export type Aftermath = "on" | "reset" | "silent";

import { join, resolve } from "node:path";
import type { Netns } from "../../../lab/netns/netns.ts";
import { must } from "../../../lab/netns/run.ts";
import type { Scenarios } from "./in-namespace.ts";

/** How a scenario of in-namespace.ts went. */
export interface Outcome<T> {
  readonly value?: T;
  readonly error?: { readonly code?: string; readonly message: string };
  /** Descriptors that it left open. */
  readonly leaked: number;
}

export type Name = keyof Scenarios;
export type Input<N extends Name> = Parameters<Scenarios[N]>[0];
export type Value<N extends Name> = Awaited<ReturnType<Scenarios[N]>>;

/** The command that runs a scenario. */
export const inside = (name: Name, input: string): [string, string, string, string] => [
  resolve("node_modules/.bin/bun"),
  join(import.meta.dirname, "in-namespace.ts"),
  name,
  input,
];

/** Runs a scenario in a namespace, in a process of its own. */
export async function scenario<N extends Name>(where: Netns, name: N, input: Input<N>): Promise<Outcome<Value<N>>> {
  return JSON.parse(await must(...where.enter(...inside(name, JSON.stringify(input))))) as Outcome<Value<N>>;
}

import { type Mutation, mutate } from "./mutations.ts";

/** The lines that a mutation changes, without line breaks and indentation. */
export interface Lines {
  readonly was: string;
  readonly is: string;
}

export function linesOf(source: string, mutation: Mutation): Lines {
  const start = source.lastIndexOf("\n", mutation.start - 1) + 1;
  const newline = source.indexOf("\n", mutation.end);
  const end = newline < 0 ? source.length : newline;
  const changed = mutate(source, mutation);
  return { was: flat(source.slice(start, end)), is: flat(changed.slice(start, end + changed.length - source.length)) };
}

/** @returns what tells a mutation from all others that could be made: a row of equivalent.tsv without its reason. */
export const keyOf = ({ file }: Mutation, { was, is }: Lines): string => [file, was, is].join("\t");

const flat = (text: string) => text.replace(/\s+/g, " ").trim();

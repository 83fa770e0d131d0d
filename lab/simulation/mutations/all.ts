import { CLAIMS } from "./claims.ts";
import { FIXES } from "./fixes.ts";
import { JOURNAL } from "./journal.ts";
import { LEADER } from "./leader.ts";
import type { Mutation } from "./mutation.ts";
import { NETS } from "./nets.ts";

export const MUTATIONS: readonly Mutation[] = [...CLAIMS, ...JOURNAL, ...FIXES, ...NETS, ...LEADER];

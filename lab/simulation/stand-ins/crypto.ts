// In the place of node:crypto: hashes are the real ones, chance is the seed's.
import * as real from "node:crypto";
import { currentActor } from "../core/actor.ts";
import { simulation } from "../core/simulation.ts";

const random = () => currentActor()?.random ?? simulation().random;

export const createHash = real.createHash;
export const randomUUID = (): string => random().uuid();
export const randomBytes = (n: number): Buffer => Buffer.from(random().hex(2 * n), "hex");

import type { ProfileName } from "../plan/profiles.ts";

/** A fault to plant: one that the simulation must find. */
export interface Mutation {
  readonly name: string;
  readonly file: string;
  /** Once in the file. */
  readonly from: string;
  readonly to: string;
  /** In which seeds of it are looked for. Default: `restarts`, `everyday`, `rough`. */
  readonly profiles?: readonly ProfileName[];
  /** Why it cannot be found: then it need not be. */
  readonly unseen?: string;
}

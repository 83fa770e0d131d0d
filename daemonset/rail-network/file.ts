import { renameSync } from "node:fs";
import { dirname, join } from "node:path";
import { REFERENCES } from "../../cni/reference.ts";
import { makeDirectory, readIfThere, syncFile, writeWhole } from "../../records/durable.ts";
import { type Rail, readRails } from "../rails/config.ts";
import { type FollowedNetwork, type Listed, listRails } from "./listed.ts";
import { referencesOf } from "./references.ts";

/** Where a node's list of rails stands. */
export interface RailFiles {
  /** Key `rails` of the ConfigMap, mounted; it may be missing. */
  readonly config: string;
  /** The RailNetworks as the agent last heard of them; missing where there are none. */
  readonly networks: string;
}

/** @param configDir where the ConfigMap `railnet-config` is mounted. */
export const railFilesIn = (configDir: string, stateDir: string): RailFiles => ({
  config: join(configDir, "rails"),
  networks: join(stateDir, REFERENCES),
});

/**
 * The list of rails: of the RailNetworks that this node follows, as last heard of, also while the API server is away; where
 * there are none the ConfigMap's.
 *
 * @throws {Error} naming what is wrong with it.
 */
export function readListed({ config, networks }: RailFiles): Listed {
  const followed = readNetworks(networks);
  if (followed.length > 0) return listRails(followed);
  return { rails: readRails(config), networks: [], refused: [] } satisfies { rails: Rail[] } & Listed;
}

/** @throws {Error} for a file that is none. */
export function readNetworks(file: string): readonly FollowedNetwork[] {
  const text = readIfThere(file);
  if (text === undefined) return [];
  try {
    const { version, networks } = JSON.parse(text);
    if (version !== 1 || !Array.isArray(networks)) throw new SyntaxError(`want {"version": 1, "networks": […]}`);
    return networks;
  } catch (cause) {
    throw new Error(
      `cannot read ${file}: ${(cause as Error).message}: the agent writes it again when it reaches the API server`,
      { cause },
    );
  }
}

/**
 * In place of what was there, whole or not at all: with what they say for the networks that refer to them, which executables
 * read that know no RailNetwork.
 */
export function writeNetworks(file: string, networks: readonly FollowedNetwork[]): void {
  makeDirectory(dirname(file));
  writeWhole(`${file}.new`, textOf(networks), true);
  renameSync(`${file}.new`, file);
  syncFile(dirname(file));
}

/** Whether the file says all that it would be written with: an older version left something out. */
export function isWrittenAs(file: string, networks: readonly FollowedNetwork[]): boolean {
  try {
    return readIfThere(file) === textOf(networks);
  } catch {
    return false; // a directory, say
  }
}

const textOf = (networks: readonly FollowedNetwork[]): string =>
  JSON.stringify({ version: 1, networks, references: referencesOf(networks) });

import { renameSync } from "node:fs";
import { dirname, join } from "node:path";
import { REFERENCES } from "../../cni/reference.ts";
import { makeDirectory, readIfThere, syncFile, writeWhole } from "../../records/durable.ts";
import { type Rail, readRails } from "../rails/config.ts";
import { type FollowedNetwork, type Listed, listRails } from "./listed.ts";
import { referencesOf } from "./references.ts";

/** Where a node's list of rails is. */
export interface RailFiles {
  /** Key `rails` of the ConfigMap, mounted; it may be missing. */
  readonly config: string;
  /** The RailNetworks as the agent last received them; missing if there are none. */
  readonly networks: string;
}

/** @param configDir where the ConfigMap `railnet-config` is mounted. */
export const railFilesIn = (configDir: string, stateDir: string): RailFiles => ({
  config: join(configDir, "rails"),
  networks: join(stateDir, REFERENCES),
});

/**
 * The list of rails: from the RailNetworks that this node follows, as last received, even while the API server is away; if
 * there are none, from the ConfigMap.
 *
 * @throws {Error} naming what is wrong with it.
 */
export function readListed({ config, networks }: RailFiles): Listed {
  const followed = readNetworks(networks);
  if (followed.length > 0) return listRails(followed);
  return { rails: readRails(config), networks: [], refused: [] } satisfies { rails: Rail[] } & Listed;
}

/** @throws {Error} for an invalid file. */
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
 * Replaces the file atomically: with the settings for networks that refer to the RailNetworks, for executables that do not
 * read RailNetworks themselves.
 */
export function writeNetworks(file: string, networks: readonly FollowedNetwork[]): void {
  makeDirectory(dirname(file));
  writeWhole(`${file}.new`, textOf(networks), true);
  renameSync(`${file}.new`, file);
  syncFile(dirname(file));
}

/** Whether the file has the full present content: an older version may have omitted something. */
export function isWrittenAs(file: string, networks: readonly FollowedNetwork[]): boolean {
  try {
    return readIfThere(file) === textOf(networks);
  } catch {
    return false; // a directory, for instance
  }
}

const textOf = (networks: readonly FollowedNetwork[]): string =>
  JSON.stringify({ version: 1, networks, references: referencesOf(networks) });

import type { Ran, Running, RunOptions } from "./run.ts";

/** The two ways to make a call: with an agent, as on a node, and without. */
export type Via = "shim" | "alone";
export const WAYS: readonly Via[] = ["alone", "shim"];

export type Verb = "ADD" | "CHECK" | "DEL" | "GC" | "STATUS" | "VERSION";
type Json = Record<string, unknown>;

/** What a runtime says of one attachment. */
export interface Attachment {
  readonly id: string;
  readonly netns: string;
  readonly ifname: string;
  readonly config: Json;
  /** More environment. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface CallOptions extends Pick<RunOptions, "secondHalfAfterMs"> {
  /** Replaces the configuration as JSON. */
  readonly stdin?: string;
  /** Runs this command, which gets the executable as its last argument. */
  readonly wrap?: readonly string[];
}

/** A call's answer. */
export interface Reply extends Ran {
  /** Standard output as JSON; undefined when there is none. */
  readonly json: Json | undefined;
}

/** The `CNI_*` variables of a call. */
export function cniEnv(verb: Verb, { id, netns, ifname }: Attachment, path: string): Record<string, string> {
  return { CNI_COMMAND: verb, CNI_CONTAINERID: id, CNI_NETNS: netns, CNI_IFNAME: ifname, CNI_PATH: path };
}

/** @throws {SyntaxError} if standard output is anything but one JSON value. */
export function withReply(running: Running): Running<Reply> {
  const reply = running.then((ran) => ({ ...ran, json: ran.stdout ? (JSON.parse(ran.stdout) as Json) : undefined }));
  return Object.assign(reply, { pid: running.pid, kill: running.kill });
}

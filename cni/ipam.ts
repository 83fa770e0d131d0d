import type { Call } from "./protocol/request.ts";
import type { Result } from "./protocol/result.ts";
import type { Verb } from "./protocol/version.ts";

/** How long a plugin may take, and what stops it. */
export interface AskLimits {
  /** Default 60,000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Called when the plugin exists and is called: from then on it may have something to release. */
  readonly onAsk?: () => void;
}

/** IPAM plugins as the verbs see them. Which of them runs where is decided one floor up: ipam/plugins.ts. */
export interface Ipam {
  /** Whether a type has anything to release or collect: `static` keeps no state, and answers at once. */
  keepsState(type: string): boolean;
  /**
   * Whether a type runs in another process: as with other attach plugins, it then finds the link in the pod when it assigns
   * addresses (`dhcp` uses it) and still there when it releases them. Only what runs in this process runs in parallel with
   * the kernel's work.
   */
  isForeign(type: string): boolean;
  /** Whether addresses can have been reserved at all: a misspelt type must not keep a pod from being deleted. */
  canRelease(type: string, call: Call): boolean;
  /** Checks, before an ADD changes anything, that the plugin can be called. @throws {CniError} 7, 100 when it cannot. */
  require(type: string, call: Call): void;
  /**
   * Calls the plugin for its part of a call.
   *
   * @returns for ADD the addresses, routes and DNS settings.
   * @throws {CniError} 7 for a type that is not an IPAM plugin; the plugin's own error.
   */
  ask(verb: Verb, type: string, call: Call, limits?: AskLimits): Promise<Result | undefined>;
}

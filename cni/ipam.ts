import type { Call } from "./protocol/request.ts";
import type { Result } from "./protocol/result.ts";
import type { Verb } from "./protocol/version.ts";

/** How long a plugin may take, and who stops it. */
export interface AskLimits {
  /** Default 60,000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Called when the plugin is there and is asked: from then on it may have something to release. */
  readonly onAsk?: () => void;
}

/** IPAM plugins as the verbs see them. Which of them runs where is settled above: ipam/plugins.ts. */
export interface Ipam {
  /** Whether a type has anything to release or collect: `static` keeps no state, and answers at once. */
  keepsState(type: string): boolean;
  /**
   * Whether a type is another process's: as with other attach plugins, it then finds the link in the pod when it gives
   * addresses (`dhcp` asks by it) and still there when it takes them back. Only what runs in this process goes on beside
   * the kernel's work.
   */
  isForeign(type: string): boolean;
  /** Whether addresses can have been reserved at all: a misspelt type must not keep a pod from being deleted. */
  canRelease(type: string, call: Call): boolean;
  /** Before an ADD changes anything: another process's type is asked late. @throws {CniError} 7, 100 when it cannot be asked. */
  require(type: string, call: Call): void;
  /**
   * Has the plugin do its part of a call.
   *
   * @returns for ADD the addresses, routes and DNS settings.
   * @throws {CniError} 7 for a type that is no IPAM plugin; what the plugin says.
   */
  ask(verb: Verb, type: string, call: Call, limits?: AskLimits): Promise<Result | undefined>;
}

import type { Host } from "./host.ts";
import type { Plan } from "./plan.ts";
import { emptyResult, type Result } from "./protocol/result.ts";

const noop = () => {};

/**
 * The addresses of the VFs of one ADD. A plugin that runs in this process is asked at once, for all of them together, in
 * parallel with the kernel's work; one in another process once its link is in the pod, where it looks for it.
 */
export class AddressRequests {
  readonly #plans: readonly Plan[];
  readonly #host: Host;
  readonly #asked = new Set<Plan>();
  readonly #running = new Map<Plan, Promise<Result>>();

  constructor(plans: readonly Plan[], host: Host) {
    this.#plans = plans;
    this.#host = host;
  }

  /** Whether a plugin in this process has something to reserve. */
  get keepState(): boolean {
    return this.#plans.some(
      ({ config: { ipamType } }) => ipamType !== undefined && this.#host.ipam.keepsState(ipamType),
    );
  }

  /** Whether its plugin is asked only once the link is in the pod. */
  isLate({ config: { ipamType } }: Plan): boolean {
    return ipamType !== undefined && this.#host.ipam.isForeign(ipamType);
  }

  /** A plugin that never ran has nothing to release, and may not even exist. */
  wasAsked(plan: Plan): boolean {
    return this.#asked.has(plan);
  }

  /** Asks the plugins that can be asked now. */
  begin(): void {
    for (const plan of this.#plans) if (!this.isLate(plan)) this.#ask(plan);
  }

  /** Asks the plugin if it has not been asked yet. @throws {CniError} the plugin's error. */
  of(plan: Plan): Promise<Result> {
    return this.#running.get(plan) ?? this.#ask(plan);
  }

  /** Resolves when no request is in progress. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#running.values());
  }

  /** Never an unhandled rejection: whoever needs the addresses awaits them later, or undoes. */
  #ask(plan: Plan): Promise<Result> {
    const running = this.#askNow(plan);
    running.catch(noop);
    this.#running.set(plan, running);
    return running;
  }

  async #askNow(plan: Plan): Promise<Result> {
    const { ipamType } = plan.config;
    if (!ipamType) return emptyResult();
    const { ipam, ipamTimeoutMs: timeoutMs, signal } = this.#host;
    const onAsk = () => void this.#asked.add(plan);
    return (await ipam.ask("ADD", ipamType, plan.call, { timeoutMs, signal, onAsk })) ?? emptyResult();
  }
}

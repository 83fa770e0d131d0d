import type { Family } from "./family.ts";

/** Requests to the API server; each attempt counts. */
export class ApiCounts {
  readonly #requests = new Map<string, number>();

  /** @param status HTTP status, 0 if there was no answer. */
  readonly add = (verb: string, resource: string, status: number): void => {
    const key = `${verb} ${resource} ${status}`;
    this.#requests.set(key, (this.#requests.get(key) ?? 0) + 1);
  };

  families(): Family[] {
    return [
      {
        name: "railnet_api_requests_total",
        help: "Requests to the API server, by verb, resource and HTTP status (0: no answer)",
        type: "counter",
        values: [...this.#requests].map(([key, value]) => {
          const [verb = "", resource = "", code = ""] = key.split(" ");
          return { labels: { verb, resource, code }, value };
        }),
      },
    ];
  }
}

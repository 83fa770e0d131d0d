/** Requests that an API server has answered, by `VERB resource status`, such as `POST ippools 201`; a subresource follows a slash. */
export type Requests = Readonly<Record<string, number>>;

/** From the Prometheus text of `/metrics`. */
export function readRequests(text: string): Requests {
  const requests: Record<string, number> = {};
  for (const [, labels, value] of text.matchAll(/^apiserver_request_total\{(.*)\} (\S+)$/gm)) {
    const of = Object.fromEntries([...labels!.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, text]) => [name, text]));
    const key = `${of["verb"]} ${of["resource"]}${of["subresource"] ? `/${of["subresource"]}` : ""} ${of["code"]}`;
    requests[key] = (requests[key] ?? 0) + Number(value);
  }
  return requests;
}

/** Those between two readings whose key matches. */
export function requestsBetween(before: Requests, after: Requests, which: RegExp): Requests {
  const counts = Object.entries(after)
    .filter(([key]) => which.test(key))
    .map(([key, count]) => [key, count - (before[key] ?? 0)] as const);
  return Object.fromEntries(counts.filter(([, count]) => count > 0));
}

export const total = (counts: Requests): number => Object.values(counts).reduce((sum, count) => sum + count, 0);

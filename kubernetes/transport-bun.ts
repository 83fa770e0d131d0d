import { type HttpAnswer, type HttpRequest, type HttpTransport, neverSent, SendError, type Tls } from "./transport.ts";

/** Over Bun's fetch, the only one that takes `tls`; it keeps up to 64 idle connections. */
export function fetchTransport(server: string, tls: Tls): HttpTransport {
  return async ({ method, path, headers, body, signal }: HttpRequest): Promise<HttpAnswer> => {
    // `timeout: false`: otherwise a watch is cut after five quiet minutes. `proxy: false`: otherwise HTTPS_PROXY of whoever
    // started the process decides where a token goes; node:https and client-node ignore it too.
    const init = {
      method,
      headers,
      signal,
      tls,
      redirect: "manual",
      timeout: false,
      proxy: false,
      ...(body !== undefined && { body }),
    };
    const response = await fetch(`${server}${path}`, init as RequestInit).catch(fail);
    return {
      status: response.status,
      header: (name) => response.headers.get(name) ?? undefined,
      text: () => response.text().catch(fail),
      pieces: () => pieces(response),
    };
  };
}

async function* pieces({ body }: Response): AsyncGenerator<Uint8Array> {
  if (!body) return;
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read().catch(fail);
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function fail(cause: Error & { code?: unknown }): never {
  const code = typeof cause.code === "string" ? cause.code : "";
  throw new SendError(cause.message.split(" For more information", 1)[0]!, {
    code,
    wasSent: !neverSent(code),
    cause,
  });
}

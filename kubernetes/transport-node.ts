import type { IncomingMessage, OutgoingHttpHeaders } from "node:http";
import { Agent, type RequestOptions, request } from "node:https";
import {
  type Headers,
  type HttpAnswer,
  type HttpRequest,
  type HttpTransport,
  neverSent,
  SendError,
  type Tls,
} from "./transport.ts";

export function httpsTransport(server: string, { serverName, ...tls }: Tls): HttpTransport {
  const agent = new Agent({
    ...tls,
    ...(serverName && { servername: serverName }),
    keepAlive: true,
    scheduling: "lifo",
    maxFreeSockets: 64,
  });
  return ({ method, path, headers, body, signal }: HttpRequest) =>
    exchange(`${server}${path}`, { method, headers: { ...listed(headers), ...lengthOf(body) }, signal, agent }, body);
}

const listed = (headers: Headers): OutgoingHttpHeaders =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, typeof value === "string" ? value : [...value]]),
  );

/** Node sends a DELETE's body without announcing it: the server would not see the preconditions. */
const lengthOf = (body: string | undefined): Record<string, string> =>
  body === undefined ? {} : { "Content-Length": `${Buffer.byteLength(body)}` };

function exchange(url: string, options: RequestOptions, body: string | undefined): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    let wasSent = false;
    const sent = request(url, options);
    sent.on("socket", (socket) => {
      if (sent.reusedSocket) wasSent = true;
      else socket.once("secureConnect", () => (wasSent = true));
    });
    sent.on("error", (error) => reject(failure(error, wasSent)));
    sent.on("response", (response) => resolve(answerOf(response)));
    sent.end(body);
  });
}

const answerOf = (response: IncomingMessage): HttpAnswer => ({
  status: response.statusCode ?? 0,
  header: (name) => response.headers[name]?.toString(),
  text: async () => {
    const all: Uint8Array[] = [];
    for await (const piece of pieces(response)) all.push(piece);
    return Buffer.concat(all).toString();
  },
  pieces: () => pieces(response),
});

async function* pieces(response: IncomingMessage): AsyncGenerator<Uint8Array> {
  try {
    yield* response;
  } catch (error) {
    throw failure(error as Error, true);
  }
}

function failure(cause: Error & { code?: string }, wasSent: boolean): SendError {
  const code = cause.code ?? "";
  return new SendError(cause.message, { code, wasSent: wasSent && !neverSent(code), cause });
}

/** A list is sent as several headers of the same name. */
export type Headers = Readonly<Record<string, string | readonly string[]>>;

/** A kubeconfig's TLS settings; PEM texts. */
export interface Tls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly serverName?: string;
  /** False only if the kubeconfig says insecure-skip-tls-verify. */
  readonly rejectUnauthorized: boolean;
}

export interface HttpRequest {
  readonly method: string;
  /** Including the query. */
  readonly path: string;
  readonly headers: Headers;
  readonly body?: string;
  readonly signal: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  header(name: string): string | undefined;
  /** The whole body; call once. */
  text(): Promise<string>;
  /** The body as it arrives, instead of text(). */
  pieces(): AsyncIterable<Uint8Array>;
}

/** Sends requests to one server over persistent connections. @throws {SendError} */
export type HttpTransport = (request: HttpRequest) => Promise<HttpAnswer>;

/** No answer, or an incomplete one. */
export class SendError extends Error {
  override readonly name = "SendError";
  /** Node's error code, such as ECONNREFUSED; empty if there is none. */
  readonly code: string;
  /** False: the server cannot have seen the request. */
  readonly wasSent: boolean;

  constructor(message: string, options: { code: string; wasSent: boolean; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.code = options.code;
    this.wasSent = options.wasSent;
  }
}

/** Codes of errors(3) and OpenSSL for a connection that was never established; for any other code the request counts as sent. */
const NEVER_SENT = /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERR_TLS_)/;
const UNTRUSTED = /^(CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERR_TLS_)/;

export const neverSent = (code: string): boolean => NEVER_SENT.test(code);
/** The server's certificate is not vouched for by the kubeconfig's CA, or not valid for this name or at this time. */
export const isUntrusted = (code: string): boolean => UNTRUSTED.test(code);

/** What to do about a refused certificate; undefined for other codes. */
export function whyUntrusted(code: string): string | undefined {
  if (!isUntrusted(code)) return undefined;
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID")
    return "its certificate is for other names: name one of them as the kubeconfig's server, or as tls-server-name";
  if (code === "CERT_HAS_EXPIRED") return "its certificate has expired, or this node's clock is ahead";
  if (code === "CERT_NOT_YET_VALID") return "its certificate is not valid yet, or this node's clock is behind";
  return "its certificate is not signed by the CA of the kubeconfig";
}

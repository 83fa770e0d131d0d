import { ApiError, type Resource } from "./cluster.ts";
import { type SendError, whyUntrusted } from "./transport.ts";

/** What is asked of the server: `create overlappingrangeipreservations 10.0.0.1`, in the terms of RBAC. */
export interface Action {
  readonly verb: "get" | "list" | "watch" | "create" | "patch" | "update" | "delete";
  readonly resource: Resource;
  readonly name?: string;
}

/** metav1.Status, the fields that are used. */
interface Status {
  readonly reason?: string;
  readonly message?: string;
  readonly code?: number;
  readonly details?: { readonly name?: string };
}

export const isWrite = ({ verb }: Action): boolean => !["get", "list", "watch"].includes(verb);

/** From the body of an answer; undefined for anything else, such as a proxy's error page. */
function readStatus(body: string): Status | undefined {
  try {
    const status = JSON.parse(body);
    return status?.kind === "Status" ? status : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the object does not exist, as opposed to: such objects are not served at all. */
export const isMissing = (status: number, body: string, name: string): boolean =>
  status === 404 && readStatus(body)?.details?.name === name;

/** The error for an answer that is not a success. */
export function refusal(action: Action, httpStatus: number, body: string): ApiError {
  const said = readStatus(body);
  const status = said?.code ?? httpStatus;
  const message = (said?.message ?? body.trim()).slice(0, 600) || `HTTP status ${status}`;
  const hint = advice(action, status, said);
  // A 503 with a Status comes from the API server before it does anything; others may come from a load balancer afterwards.
  const isUnclear = isWrite(action) && status >= 500 && !(status === 503 && said);
  const unsure = isUnclear ? "; it may have been done nevertheless" : "";
  return new ApiError(`cannot ${words(action)}: ${message} (${said?.reason ?? status})${unsure}${hint}`, {
    status,
    reason: said?.reason ?? "",
    isUnclear,
  });
}

/** The error for a request without an answer. */
export function silence(action: Action, server: string, error: SendError): ApiError {
  const isUnclear = isWrite(action) && error.wasSent;
  const untrusted = whyUntrusted(error.code);
  const hint = untrusted ? `; ${untrusted}` : isUnclear ? "; it may have been done nevertheless" : "";
  const code = error.code && !error.message.includes(error.code) ? ` (${error.code})` : "";
  return new ApiError(`cannot ${words(action)} at ${server}: ${error.message}${code}${hint}`, {
    isUnclear,
    cause: error,
  });
}

/** The error for a request that ran out of time, or whose caller gave up, before or after it was sent. */
export function unfinished(action: Action, server: string, why: string, wasSent: boolean): ApiError {
  const isUnclear = isWrite(action) && wasSent;
  const unsure = isUnclear ? "; it may have been done nevertheless" : "";
  return new ApiError(`cannot ${words(action)} at ${server}: ${why}${unsure}`, { isUnclear });
}

const words = ({ verb, resource, name }: Action): string => `${verb} ${resource.plural}${name ? ` ${name}` : ""}`;

function advice({ verb, resource }: Action, status: number, said: Status | undefined): string {
  const { group, plural } = resource;
  if (status === 401) return "; the token or certificate of the kubeconfig is not, or no longer, valid";
  if (status === 403)
    return `; allow it as manifests/rbac.yaml does: apiGroups: ["${group}"], resources: [${plural}], verbs: [${verb}]`;
  if (status === 404 && !said?.details?.name)
    return `; ${plural} are not served here${group.startsWith("whereabouts.") ? ": kubectl apply -f manifests/crds" : ""}`;
  return "";
}

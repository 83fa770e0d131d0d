// railnet/cni-protocol: what it takes to write a CNI plugin, specification 0.1.0 to 1.1.0.

export {
  type DelegateOptions,
  delegate,
  type Exec,
  type ExecReply,
  type ExecRequest,
} from "../cni/protocol/delegate.ts";
export { dispatch, failure, type Plugin } from "../cni/protocol/dispatch.ts";
export { execCommand, readRequestFromProcess, writeResponse } from "../cni/protocol/edges.ts";
export type { Environment } from "../cni/protocol/environment.ts";
export { CniError, CODE, toCniError } from "../cni/protocol/error.ts";
export { canonicalCidr, canonicalIp } from "../cni/protocol/ip.ts";
export type { NetworkConfig } from "../cni/protocol/network-config.ts";
export {
  type Call,
  type CniRequest,
  type CniResponse,
  readRequest,
  type ValidAttachment,
} from "../cni/protocol/request.ts";
export {
  type Dns,
  emptyResult,
  formatResult,
  type Interface,
  type IpConfig,
  mergeResult,
  type Result,
  type Route,
} from "../cni/protocol/result.ts";
export { parseResult } from "../cni/protocol/result-parse.ts";
export { type CniVersion, SUPPORTED_VERSIONS, type Verb } from "../cni/protocol/version.ts";

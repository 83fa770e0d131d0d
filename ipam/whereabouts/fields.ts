import { list, object, type Read, record, required, text } from "../../cni/protocol/decode.ts";
import { CniError, CODE } from "../../cni/protocol/error.ts";
import type { Dns, Route } from "../../cni/protocol/result.ts";
import { parseResult, readDns } from "../../cni/protocol/result-parse.ts";

export interface RangeFields {
  readonly range?: string;
  readonly range_start?: string;
  readonly range_end?: string;
  readonly exclude?: readonly string[];
}

export interface AddressFields {
  readonly address: string;
  readonly gateway?: string;
}

/**
 * The `ipam` object as written, in a network configuration or in Whereabouts' flat file: types are checked, meanings are
 * not. Whereabouts' `leader_*`, `sleep_for_race`, `log_level`, `reconciler_cron_expression`, `datastore` and `etcd_*` are
 * ignored, since there is nothing here that they could change.
 */
export interface IpamFields extends RangeFields {
  readonly type?: string;
  readonly ipRanges?: readonly RangeFields[];
  readonly gateway?: string;
  readonly routes?: readonly Route[];
  readonly dns?: Dns;
  readonly addresses?: readonly AddressFields[];
  readonly network_name?: string;
  readonly enable_overlapping_ranges?: boolean;
  readonly node_slice_size?: string;
  readonly kubernetes?: { readonly kubeconfig?: string };
  readonly log_file?: string;
  readonly configuration_path?: string;
  /** Ours. */
  readonly same_index?: boolean;
  /** Ours. */
  readonly exclude_gateway?: boolean;
}

const boolean: Read<boolean> = (value, at) => {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "boolean") return value;
  throw new CniError(CODE.DECODING_FAILURE, `cannot decode ${at}: want true or false, got ${JSON.stringify(value)}`);
};

const routes: Read<Route[]> = (value, at) => {
  const given = list(required(object))(value, at);
  return given && [...parseResult({ routes: given }, "1.1.0", at.slice(0, -".routes".length)).routes];
};

/** Empty values count as absent, as Go omits them from a result. */
const dns: Read<Dns> = (value, at) => {
  const given = Object.entries(readDns(value, at) ?? {}).filter(([, one]) => one.length > 0);
  return given.length > 0 ? Object.fromEntries(given) : undefined;
};

const RANGE = { range: text, range_start: text, range_end: text, exclude: list(required(text)) };

/**
 * @param at where it is, such as `ipam`.
 * @throws {CniError} 6 or 7, naming the field.
 */
export const readIpamFields: Read<IpamFields> = record<IpamFields>({
  ...RANGE,
  type: text,
  ipRanges: list(record<RangeFields>(RANGE)),
  gateway: text,
  routes,
  dns,
  addresses: list(record<AddressFields>({ address: (value, at) => text(value, at) ?? "", gateway: text })),
  network_name: text,
  enable_overlapping_ranges: boolean,
  node_slice_size: text,
  kubernetes: record<{ kubeconfig?: string }>({ kubeconfig: text }),
  log_file: text,
  configuration_path: text,
  same_index: boolean,
  exclude_gateway: boolean,
});

/**
 * What Whereabouts' mergo makes of a configuration and its flat file: empty fields of the first are taken from the second,
 * field by field within `dns`. `enable_overlapping_ranges` never comes from the second; which kubeconfig counts is storageOf()'s.
 */
export function mergeFields(own: IpamFields, flat: IpamFields): IpamFields {
  const merged = { ...flat, ...withoutEmpty(own) };
  const { enable_overlapping_ranges: _, ...others } = merged;
  return {
    ...others,
    ...(flat.dns && { dns: { ...flat.dns, ...own.dns } }),
    ...(own.enable_overlapping_ranges !== undefined && { enable_overlapping_ranges: own.enable_overlapping_ranges }),
  };
}

const withoutEmpty = (fields: IpamFields): IpamFields =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => !(Array.isArray(value) && value.length === 0)));

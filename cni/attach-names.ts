import { CniError, CODE } from "./protocol/error.ts";

/**
 * Set for the IPAM plugins that this one runs. What they run in turn must not call this one again, whatever it is called
 * in CNI_PATH: GC and STATUS take no lock, and would recurse for ever. A DEL has nothing to do then.
 */
export const NESTED = "CNI_RAILNET_DELEGATE";

/** Names of attach plugins, ours or one that ours replaces, and so not of IPAM plugins. @param calledAs the name that this call used. */
export const isAttachName = (type: string, calledAs: string): boolean =>
  ["railnet-sriov", "sriov", "rdma", calledAs].includes(type);

export const notIpam = (type: string): CniError =>
  new CniError(
    CODE.INVALID_CONFIG,
    `cannot use ipam.type ${JSON.stringify(type)}: it attaches devices and gives no addresses; want an IPAM plugin such as railnet-ipam`,
  );

/** The name under which this executable behaves exactly like sriov-cni: withOwnKeys() in cni/config.ts. */
export const isSriovName = (name: string): boolean => name === "sriov";

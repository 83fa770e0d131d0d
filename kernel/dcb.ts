import { attribute, attributes, text } from "./netlink/attribute.ts";
import type { Query } from "./netlink/message.ts";

/** include/uapi/linux/rtnetlink.h and dcbnl.h. */
const RTM_GETDCB = 78;
const DCB_CMD_IEEE_GET = 21;
const DCB_ATTR_IFNAME = 1;
const DCB_ATTR_IEEE = 13;
const DCB_ATTR_IEEE_PFC = 2;
const DCB_ATTR_IEEE_APP_TABLE = 3;
/** Since Linux 6.2. */
const DCB_ATTR_DCB_APP_TRUST_TABLE = 11;
const IEEE_8021QAZ_APP_SEL_DSCP = 5;
const DCB_APP_SEL_PCP = 255;
/** `struct dcbmsg`. */
const DCBMSG = 4;
/** `struct ieee_pfc`: `pfc_cap`, then a bit for each priority that pauses. */
const PFC_EN = 1;
/** `struct dcb_app`: selector, priority, protocol. */
const DCB_APP = 4;

/** How a port treats priorities (IEEE 802.1Q). */
export interface DcbSettings {
  /** What tells a port the priority of a packet: `dscp`, `pcp`, or both in order, `dscp,pcp`. */
  readonly trust: string;
  /** Priorities with flow control, `3` or `3,4`; empty for none. */
  readonly pfc: string;
}

/** How a port treats priorities. Refused with `EOPNOTSUPP` where the driver has no DCB. The link is looked up in the socket's namespace. */
export function dcbOf(netdev: string): Query<DcbSettings> {
  const header = Buffer.from([0, DCB_CMD_IEEE_GET, 0, 0]);
  const body = Buffer.concat([header, text(DCB_ATTR_IFNAME, netdev), attribute(DCB_ATTR_IEEE, Buffer.alloc(0))]);
  const message = { what: `read DCB settings of ${netdev}`, type: RTM_GETDCB, get: true, body };
  return { message, parse: parseDcb };
}

/**
 * Body of the answer. Where the kernel keeps no trust table, a port that maps DSCP to priorities trusts DSCP, as mlx5
 * does (`mlx5e_dcbnl_ieee_setapp`, en_dcbnl.c).
 */
export function parseDcb(body: Buffer): DcbSettings {
  const ieee = attributes(body.subarray(DCBMSG)).find((a) => a.type === DCB_ATTR_IEEE);
  const inner = ieee ? attributes(ieee.data) : [];
  const of = (type: number) => inner.find((a) => a.type === type)?.data;
  const [pfc, apps, trusted] = [DCB_ATTR_IEEE_PFC, DCB_ATTR_IEEE_APP_TABLE, DCB_ATTR_DCB_APP_TRUST_TABLE].map(of);
  const order = trusted ? attributes(trusted).map(({ data }) => data[0]) : [];
  return { trust: inWords(order, apps), pfc: bits(pfc?.[PFC_EN] ?? 0) };
}

function inWords(order: readonly (number | undefined)[], apps: Buffer | undefined): string {
  const names = order.map((one) =>
    one === IEEE_8021QAZ_APP_SEL_DSCP ? "dscp" : one === DCB_APP_SEL_PCP ? "pcp" : `${one}`,
  );
  if (names.length > 0) return names.join(",");
  const selectors = apps ? attributes(apps).filter(({ data }) => data.length === DCB_APP) : [];
  return selectors.some(({ data }) => data[0] === IEEE_8021QAZ_APP_SEL_DSCP) ? "dscp" : "pcp";
}

const bits = (mask: number): string =>
  Array.from({ length: 8 }, (_, i) => i)
    .filter((i) => mask & (1 << i))
    .join(",");

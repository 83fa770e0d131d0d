import t from "tap";
import { dcbOf, parseDcb } from "../../kernel/dcb.ts";
import { firmwareOf } from "../../kernel/driver-info.ts";
import { attribute, nested, text } from "../../kernel/netlink/attribute.ts";

// The answer of `dcbnl_ieee_get()`, net/dcb/dcbnl.c, by the structs of include/uapi/linux/dcbnl.h.

const DCBMSG = Buffer.from([0, 21, 0, 0]);
/** `struct ieee_pfc`: pfc_cap, pfc_en, mbc, delay, requests, indications. */
const pfc = (enabled: number): Buffer => attribute(2, Buffer.concat([Buffer.from([8, enabled]), Buffer.alloc(134)]));
/** `struct dcb_app`: selector, priority, protocol. */
const app = (selector: number, priority: number, protocol: number): Buffer =>
  attribute(1, Buffer.from([selector, priority, protocol & 255, protocol >> 8]));
const answer = (...inner: Buffer[]): Buffer => Buffer.concat([DCBMSG, text(1, "ens1f0np0"), nested(13, inner)]);

t.test("dcbOf() asks for IEEE settings by the link's name", async (t) => {
  const { type, body, get } = dcbOf("eth0").message;
  t.equal(type, 78);
  t.ok(get);
  t.equal(Buffer.from(body).toString("hex"), "00150000090001006574683000000000" + "04000d00");
});

for (const { when, body, want } of [
  { when: "flow control of one priority, DSCP mapped", body: answer(pfc(0x08), nested(3, [app(5, 3, 26)])), want: { trust: "dscp", pfc: "3" } }, // biome-ignore format: one row
  { when: "of several, nothing mapped", body: answer(pfc(0x19)), want: { trust: "pcp", pfc: "0,3,4" } },
  { when: "RoCE mapped by its Ethernet type", body: answer(pfc(0), nested(3, [app(1, 3, 0x8915)])), want: { trust: "pcp", pfc: "" } }, // biome-ignore format: one row
  { when: "the kernel's table of what is trusted", body: answer(pfc(8), nested(11, [attribute(1, Buffer.from([5])), attribute(2, Buffer.from([255]))])), want: { trust: "dscp,pcp", pfc: "3" } }, // biome-ignore format: one row
  { when: "no answer inside", body: Buffer.concat([DCBMSG, text(1, "eth0")]), want: { trust: "pcp", pfc: "" } },
])
  t.test(`parseDcb() reads ${when}`, async (t) => t.same(parseDcb(body), want));

t.test("firmwareOf() reads what ethtool -i shows", async (t) => {
  const asked: string[] = [];
  const told = firmwareOf("ens1f0np0", (link, info) => {
    asked.push(`${link} ${info.readUInt32LE(0)} ${info.length}`);
    info.write("mlx5_core", 4);
    info.write("28.41.1000 (MT_0000000838)", 68);
    info.write("0000:18:00.0", 100);
  });
  t.same(asked, ["ens1f0np0 3 196"]);
  t.equal(told, "28.41.1000 (MT_0000000838)");
  t.equal(
    firmwareOf("veth0", () => {}),
    undefined,
  );
  t.equal(
    firmwareOf("gone", () => {
      throw Object.assign(new Error(), { code: "EOPNOTSUPP" });
    }),
    undefined,
  );
  t.throws(
    () =>
      firmwareOf("x", () => {
        throw Object.assign(new Error("no"), { code: "EPERM" });
      }),
    /no/,
  );
});

// The `netlink` package as second opinion: it reads in our bytes what we meant, and writes the same bytes again.
import assert from "node:assert/strict";
import * as ifla from "netlink/dist/rt/ifla.js";
import * as peer from "netlink/dist/rt/structs.js";
import { AttrStream } from "netlink/dist/structs.js";
import t from "tap";
import { addAddress } from "../../kernel/address.ts";
import { type LinkChange, parseLink, setLink } from "../../kernel/link.ts";
import { addRoute, type RouteSpec } from "../../kernel/route.ts";
import { addRule } from "../../kernel/rule.ts";
import type { Fd } from "../../kernel/syscall.ts";
import { setVf } from "../../kernel/vf.ts";
import * as fc from "../../lab/properties.ts";
import { hex } from "./support/captures.ts";
import { bodiesOf, replies } from "./support/replies.ts";

/** Reads with the package, and checks that it writes what it has read as we did. */
function readBack<M>(body: Uint8Array, parse: (body: Buffer) => M, format: (message: M, out: AttrStream) => void): M {
  const message = parse(Buffer.from(body));
  const out = new AttrStream();
  format(message, out);
  const bytes = Buffer.concat(out.bufs);
  assert.equal(hex(bytes) + "00".repeat(-bytes.length & 3), hex(body), "but for the padding at the end");
  return message;
}

const pairs = (bytes: Uint8Array) => hex(bytes).match(/../g)!.join(":");
const index = fc.integer({ min: 1, max: 0x7fffffff });
const u32 = fc.nat(0xffffffff);
const name = fc.stringMatching(/^[a-z][a-z0-9._-]{0,14}$/);
const mac = fc.uint8Array({ minLength: 6, maxLength: 6 }).map(pairs);
const optional = <T>(values: Record<string, fc.Arbitrary<unknown>>) =>
  fc.record(values, { requiredKeys: [] }) as fc.Arbitrary<T>;

/** Addresses of one family as bytes and as text, the text not of our making. */
const ipv4 = fc
  .uint8Array({ minLength: 4, maxLength: 4 })
  .map((bytes) => ({ hex: hex(bytes), ip: bytes.join("."), bits: 32, family: 2 }));
const ipv6 = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map((bytes) => ({ hex: hex(bytes), ip: hex(bytes).match(/..../g)!.join(":"), bits: 128, family: 10 }));
const networks = (ip: typeof ipv4) =>
  ip.chain((a) => fc.integer({ min: 1, max: a.bits }).map((bits) => ({ ...a, bits })));

t.test("setLink() means to the package what it means to us", async () => {
  const change = optional<LinkChange>({
    netns: fc.integer({ min: 3, max: 1000 }).map((n) => ({ n }) as Fd),
    name,
    mac,
    mtu: u32,
    up: fc.boolean(),
  });
  const test = fc.property(index, change, (index, change) => {
    const body = setLink(index, change).body;
    const { data, attrs } = readBack(body, peer.parseLinkMessage, peer.formatLinkMessage);
    assert.equal(data.index, index);
    assert.equal(data.flags?.up, change.up || undefined);
    assert.equal(data.change?.up, change.up === undefined ? undefined : true);
    assert.equal(attrs.netNsFd, change.netns?.n);
    assert.equal(attrs.ifname, change.name);
    assert.equal(attrs.mtu, change.mtu);
    assert.equal(attrs.address && pairs(attrs.address), change.mac);
  });
  fc.assert(test);
});

t.test("setVf() means to the package what it means to us", async () => {
  // VLANs are left out: the package has 14 bytes for the 16 of struct ifla_vf_vlan_info.
  const settings = fc.record({ mac, minTxRate: u32, maxTxRate: u32, spoofchk: fc.boolean(), trust: fc.boolean() });
  const test = fc.property(index, fc.nat(255), settings, (index, vf, state) => {
    const { attrs } = readBack(setVf(index, vf, state).body, peer.parseLinkMessage, peer.formatLinkMessage);
    const [info, ...more] = attrs.vfinfoList!.x!;
    assert.equal(more.length, 0);
    const { mac: bytes } = ifla.parseVirtualFunctionMac(info!.mac!);
    assert.equal(pairs(Buffer.from(bytes!.slice(0, 6))), state.mac);
    const { minTxRate, maxTxRate } = state;
    assert.deepEqual(ifla.parseVirtualFunctionRate(info!.rate!), { vf, minTxRate, maxTxRate });
    assert.deepEqual(ifla.parseVirtualFunctionSpoofchk(info!.spoofchk!), { vf, setting: Number(state.spoofchk) });
    assert.deepEqual(ifla.parseVirtualFunctionTrust(info!.trust!), { vf, setting: Number(state.trust) });
  });
  fc.assert(test);
});

t.test("addAddress() means to the package what it means to us", async () => {
  const options = optional<{ noDad?: boolean; optimistic?: boolean; noPrefixRoute?: boolean }>({
    noDad: fc.boolean(),
    optimistic: fc.boolean(),
    noPrefixRoute: fc.boolean(),
  });
  const test = fc.property(index, fc.oneof(networks(ipv4), networks(ipv6)), options, (index, a, options) => {
    const body = addAddress(index, `${a.ip}/${a.bits}`, options).body;
    const { data, attrs } = readBack(body, peer.parseAddressMessage, peer.formatAddressMessage);
    assert.deepEqual([data.family, data.prefixlen, data.index], [a.family, a.bits, index]);
    assert.deepEqual(
      [attrs.local, attrs.address].map((b) => hex(b!)),
      [a.hex, a.hex],
    );
    assert.equal(attrs.broadcast !== undefined, a.family === 2 && a.bits <= 30);
    const flags = attrs.flags ?? data.flags ?? {};
    assert.equal(flags.nodad, options.noDad || undefined);
    assert.equal(flags.optimistic, options.optimistic || undefined);
    assert.equal(flags.noprefixroute, options.noPrefixRoute || undefined);
  });
  fc.assert(test);
});

t.test("addRoute() means to the package what it means to us", async () => {
  const positive = fc.integer({ min: 1, max: 0xffffffff });
  const rest = optional<Omit<RouteSpec, "dst">>({
    index,
    table: positive,
    priority: positive,
    mtu: positive,
    advmss: positive,
  });
  const ends = fc.oneof(fc.tuple(networks(ipv4), ipv4, ipv4), fc.tuple(networks(ipv6), ipv6, ipv6));
  const test = fc.property(ends, rest, ([dst, gateway, src], rest) => {
    const route = { ...rest, dst: `${dst.ip}/${dst.bits}`, gateway: gateway.ip, src: src.ip };
    const { data, attrs } = readBack(addRoute(route).body, peer.parseRouteMessage, peer.formatRouteMessage);
    assert.deepEqual([data.family, data.dstLen, data.type, data.scope], [dst.family, dst.bits, "UNICAST", "UNIVERSE"]);
    assert.deepEqual(
      [attrs.dst, attrs.gateway, attrs.prefsrc].map((b) => hex(b!)),
      [dst.hex, gateway.hex, src.hex],
    );
    assert.deepEqual([attrs.oif, attrs.priority], [rest.index, rest.priority]);
    assert.equal(attrs.table ?? data.table, rest.table ?? 254);
    assert.equal(attrs.metrics?.mtu?.readUInt32LE(), rest.mtu);
    assert.equal(attrs.metrics?.advmss?.readUInt32LE(), rest.advmss);
  });
  fc.assert(test);
});

t.test("addRule() means to the package what it means to us", async () => {
  const rest = fc.record({ table: fc.integer({ min: 1, max: 0xffffffff }), priority: u32 });
  const test = fc.property(fc.oneof(networks(ipv4), networks(ipv6)), rest, fc.option(name), (a, rest, iif) => {
    const { body } = addRule({ from: `${a.ip}/${a.bits}`, ...rest, ...(iif && { iif }) });
    const { data, attrs } = readBack(body, peer.parseRuleMessage, peer.formatRuleMessage);
    assert.deepEqual([data.family, data.srcLen, data.action], [a.family, a.bits, "toTbl"]);
    assert.deepEqual([hex(attrs.src!), attrs.priority, attrs.iifname], [a.hex, rest.priority, iif ?? undefined]);
    assert.equal(attrs.table ?? data.table, rest.table);
  });
  fc.assert(test);
});

t.test("parseLink() reads of the kernel's replies what the package reads", async (t) => {
  for (const body of bodiesOf(replies.links)) {
    const { data, attrs } = peer.parseLinkMessage(body);
    t.match(parseLink(body), {
      index: data.index,
      name: attrs.ifname,
      mac: pairs(attrs.address!),
      mtu: attrs.mtu,
      alias: attrs.ifalias ?? "",
      up: data.flags?.up === true,
      running: data.flags?.lowerUp === true,
    });
  }
});

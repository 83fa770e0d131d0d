import t from "tap";
import {
  decodeReplies,
  encodeMessages,
  errorOf,
  type Message,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_REQUEST,
} from "../../../kernel/netlink/message.ts";
import * as fc from "../../../lab/properties.ts";
import { all, guest, last } from "../support/guest.ts";

/** The kernel's answer to our own socket, which asks for capped acknowledgements: an MTU of 99999999. */
const CAPPED =
  "480000000200000302000000a2030000eaffffff2800000013000500020000000000000024000100" +
  "6d74752067726561746572207468616e20646576696365206d6178696d756d00";

/** The end of a dump of a routing table that does not exist, as the kernel answered ip(8). */
const DUMP_REFUSED =
  "3800000003002202f11c056b93750000feffffff23000100" +
  "697076343a20464942207461626c6520646f6573206e6f742065786973740000";

const first = (datagram: Buffer) => [...decodeReplies(datagram)][0]!;

t.test("encodeMessages() wraps a body as ip(8) does", async (t) => {
  const want = last(guest["refused-mtu"], "kernel");
  const message = { what: "", type: want.readUInt16LE(4), body: want.subarray(16) };
  t.equal(encodeMessages([message], want.readUInt32LE(8), 0).toString("hex"), want.toString("hex"));
});

t.test("encodeMessages() asks for an acknowledgement unless the answer is one", async (t) => {
  const flags = (message: Partial<Message>, more = 0) =>
    encodeMessages([{ what: "", type: 18, body: Buffer.alloc(0), ...message }], 1, more).readUInt16LE(6);
  t.equal(flags({}), NLM_F_REQUEST | NLM_F_ACK);
  t.equal(flags({ get: true }), NLM_F_REQUEST);
  t.equal(flags({ flags: 0x600 }), NLM_F_REQUEST | NLM_F_ACK | 0x600);
  t.equal(flags({ get: true }, NLM_F_DUMP), NLM_F_REQUEST | NLM_F_DUMP);
});

t.test("decodeReplies() reads what encodeMessages() wrote, whatever the lengths", async (t) => {
  const messages = fc.array(
    fc.record({
      what: fc.constant(""),
      type: fc.integer({ min: 0, max: 0xffff }),
      body: fc.uint8Array({ maxLength: 9 }),
    }),
  );
  fc.assert(
    fc.property(messages, fc.integer({ min: 0, max: 1000 }), (list, seq) => {
      t.same(
        [...decodeReplies(encodeMessages(list, seq, 0))].map(({ type, seq, body }) => [type, seq, ...body]),
        list.map(({ type, body }, i) => [type, seq + i, ...body]),
      );
    }),
  );
});

t.test("decodeReplies() of any bytes ends, and reads nothing beyond them", async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.integer({ min: 0, max: 80 }), (bytes, length) => {
      const whole = Buffer.concat([bytes, Buffer.alloc(100, 0xee)]);
      if (bytes.length >= 4) whole.writeUInt32LE(length, 0); // a length that is likely
      let count = 0;
      try {
        for (const { body } of decodeReplies(whole.subarray(0, bytes.length))) {
          count++;
          if (body.byteOffset - whole.byteOffset + body.length > bytes.length) return false;
        }
      } catch (error) {
        return /its length is wrong/.test((error as Error).message);
      }
      return count <= bytes.length / 16;
    }),
    { numRuns: 5000 },
  );
});

for (const [what, hex] of [
  ["a header that is cut", "100000000200000001000000"],
  ["a length below the header's", "0f000000020000000100000000000000"],
  ["a length beyond the datagram", "14000000020000000100000000000000"],
  ["a rest behind the last message", "1000000002000000010000000000000001000000"],
] as const)
  t.test(`decodeReplies() refuses ${what}`, async (t) => {
    t.throws(() => [...decodeReplies(Buffer.from(hex, "hex"))], {
      message: "cannot read a netlink message: its length is wrong",
    });
  });

for (const { what, datagram, code, message } of [
  {
    what: "with the request in it",
    datagram: last(guest["refused-mtu"], "user"),
    code: "EINVAL",
    message: "cannot do it: mtu greater than device maximum (EINVAL)",
  },
  {
    what: "with the request's header",
    datagram: Buffer.from(CAPPED, "hex"),
    code: "EINVAL",
    message: "cannot do it: mtu greater than device maximum (EINVAL)",
  },
  {
    what: "in the end of a dump",
    datagram: Buffer.from(DUMP_REFUSED, "hex"),
    code: "ENOENT",
    message: "cannot do it: ipv4: FIB table does not exist (ENOENT)",
  },
  {
    what: "without a text",
    datagram: last(guest["refused-name"], "user"),
    code: "EEXIST",
    message: "cannot do it: refused (EEXIST)",
  },
  {
    what: "of a driver",
    datagram: last(guest["refused-vlan"], "user"),
    code: "EPROTONOSUPPORT",
    message: "cannot do it: refused (EPROTONOSUPPORT)",
  },
])
  t.test(`errorOf() reads a refusal ${what}`, async (t) => {
    t.match(errorOf(first(datagram), "do it"), { name: "NetlinkError", code, message });
  });

t.test("errorOf() of an acknowledgement is undefined", async (t) => {
  t.equal(errorOf(first(last(guest.rename, "user")), "do it"), undefined);
  t.equal(errorOf(first(all(guest.devices, "user")[2]!), "do it"), undefined, "also of the end of a dump");
});

t.test("errorOf() of any acknowledgement, however broken, ends in an error or an answer", async () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 60 }),
      fc.constantFrom(0, 0x100, 0x200, 0x300),
      fc.constantFrom(2, 3),
      (bytes, flags, type) => {
        try {
          errorOf({ type, flags, seq: 1, body: Buffer.from(bytes) }, "do it");
          return true;
        } catch (error) {
          return error instanceof Error && /cannot read|out of range|outside buffer/i.test(error.message);
        }
      },
    ),
    { numRuns: 3000 },
  );
});

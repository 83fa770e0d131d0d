import t from "tap";
import { getLink, listLinks, setLink } from "../../../kernel/link.ts";
import { Connection } from "../../../kernel/netlink/connection.ts";
import { type Message, NetlinkError, NLM_F_DUMP_INTR } from "../../../kernel/netlink/message.ts";
import * as fc from "../../../lab/properties.ts";
import { guest, last } from "../support/guest.ts";
import { Kernel, withSeq } from "../support/kernel-double.ts";
import { bodiesOf, replies } from "../support/replies.ts";

const RTM_NEWLINK = 16;
const NLM_F_MULTI = 2;
const bodies = bodiesOf(replies.links);

/** One message as the kernel frames it. */
function frame(type: number, flags: number, seq: number, body: Buffer): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt32LE(16 + body.length, 0);
  header.writeUInt16LE(type, 4);
  header.writeUInt16LE(flags, 6);
  header.writeUInt32LE(seq, 8);
  return Buffer.concat([header, body, Buffer.alloc(-body.length & 3)]);
}
const refused = (seq: number) => withSeq(last(guest["refused-mtu"], "user"), seq);
const ack = (seq: number) => withSeq(last(guest.rename, "user"), seq);
const link = (seq: number, i = 0, flags = 0) => frame(RTM_NEWLINK, flags, seq, bodies[i]!);
const done = (seq: number, errno = 0) => {
  const body = Buffer.alloc(4);
  body.writeInt32LE(-errno);
  return frame(3, NLM_F_MULTI, seq, body);
};
/** A whole dump of all captured links, a datagram each. */
const dumped = (seq: number, flags = 0) => [...bodies.map((_, i) => link(seq, i, NLM_F_MULTI | flags)), done(seq)];

const mtu = (what: string): Message => setLink(3, { mtu: 1400 }, what);

t.test("Connection.request() returns the body of the answer", async (t) => {
  const connection = new Connection(new Kernel(([r]) => [link(r!.seq)]));
  t.same(connection.request(getLink({ name: "lo" })), bodies[0]);
});

t.test("Connection.request() of a change returns nothing once it is acknowledged", async (t) => {
  const connection = new Connection(new Kernel(([r]) => [ack(r!.seq)]));
  t.equal(connection.request(mtu("change it")), undefined);
});

t.test("Connection.request() says what was refused and the kernel's own words", async (t) => {
  const connection = new Connection(new Kernel(([r]) => [refused(r!.seq)]));
  t.throws(() => connection.request(mtu("set the MTU of net1")), {
    name: "NetlinkError",
    code: "EINVAL",
    message: "cannot set the MTU of net1: mtu greater than device maximum (EINVAL)",
  });
});

t.test(
  "Connection.batch() sends once; answers come in the order of the messages, whatever order they arrive in",
  async (t) => {
    const kernel = new Kernel((requests) => [
      Buffer.concat([link(requests[2]!.seq, 1), ack(requests[1]!.seq)]),
      link(requests[0]!.seq, 0),
    ]);
    const answers = new Connection(kernel).batch([getLink({ index: 1 }), mtu("change it"), getLink({ index: 2 })]);
    t.same(answers, [bodies[0], undefined, bodies[1]]);
    t.equal(kernel.sent.length, 3);
  },
);

t.test("Connection.batch() of many sends 32 at a time, all of them, and throws the first refusal", async (t) => {
  const kernel = new Kernel((requests) =>
    requests.map(({ seq, body }) => ([5, 35].includes(body.readInt32LE(4)) ? refused(seq) : ack(seq))),
  );
  const messages = Array.from({ length: 70 }, (_, i) => setLink(i, { mtu: 1400 }, `do ${i}`));
  t.throws(() => new Connection(kernel).batch(messages), { message: /^cannot do 5: / });
  t.same(kernel.sends, [32, 32, 6]);
});

t.test("Connection.batch() of nothing sends nothing", async (t) => {
  const kernel = new Kernel(() => []);
  t.same(new Connection(kernel).batch([]), []);
  t.equal(kernel.sent.length, 0);
});

t.test(
  "Connection.batch() reads all answers, then throws the first refusal; the next request is not confused",
  async (t) => {
    let round = 0;
    const connection = new Connection(
      new Kernel((requests) =>
        round++ === 0
          ? requests.map(({ seq }, i) => (i === 0 ? ack(seq) : refused(seq)))
          : requests.map(({ seq }) => link(seq, 2)),
      ),
    );
    t.throws(() => connection.batch([mtu("do a"), mtu("do b"), mtu("do c")]), { message: /^cannot do b: mtu greater/ });
    t.same(connection.request(getLink({ index: 3 })), bodies[2]);
  },
);

t.test(
  "Connection.request() names the request that the kernel does not answer, and takes no late answer for the next one's",
  async (t) => {
    let late = 0;
    const connection = new Connection(
      new Kernel(([r]) => {
        if (late) return [link(late, 0), link(r!.seq, 1)];
        late = r!.seq;
        return [];
      }),
    );
    t.throws(() => connection.request(getLink({ name: "lo" })), {
      code: "ETIMEDOUT",
      message: "cannot read lo: the kernel did not answer in time (ETIMEDOUT)",
    });
    t.same(connection.request(getLink({ index: 2 })), bodies[1]);
  },
);

t.test("Connection.request() passes on other errors of the socket", async (t) => {
  const overrun = Object.assign(new Error("cannot receive (ENOBUFS)"), { code: "ENOBUFS" });
  t.throws(() => new Connection(new Kernel(() => [overrun])).request(mtu("do it")), overrun);
});

t.test("Connection.request() survives a corrupt datagram: that request fails, the next one works", async (t) => {
  const corrupt = link(1).subarray(0, 100);
  let round = 0;
  const connection = new Connection(new Kernel(([r]) => [round++ === 0 ? corrupt : link(r!.seq)]));
  t.throws(() => connection.request(getLink({ index: 1 })), {
    message: "cannot read a netlink message: its length is wrong",
  });
  t.same(connection.request(getLink({ index: 1 })), bodies[0]);
});

t.test("Connection.request() ends, whatever the kernel says", async () => {
  const datagram = fc.uint8Array({ maxLength: 64 }).map((b) => Buffer.from(b));
  const plausible = fc
    .record({
      type: fc.integer({ min: 0, max: 20 }),
      flags: fc.integer({ min: 0, max: 0x3ff }),
      seq: fc.integer({ min: 0, max: 3 }),
      body: datagram,
    })
    .map((m) => frame(m.type, m.flags, m.seq, m.body));
  fc.assert(
    fc.property(fc.array(fc.oneof(datagram, plausible), { maxLength: 6 }), fc.boolean(), (answers, isDump) => {
      const connection = new Connection(new Kernel(() => answers));
      try {
        if (isDump) connection.dump(listLinks());
        else connection.request(getLink({ index: 1 }));
      } catch (error) {
        return error instanceof Error;
      }
      return true;
    }),
    { numRuns: 3000 },
  );
});

t.test("Connection.dump() reads a dump however the kernel cuts it into datagrams", async (t) => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { minLength: bodies.length, maxLength: bodies.length }), (cuts) => {
      const kernel = new Kernel(([r]) => {
        const datagrams: Buffer[] = [];
        dumped(r!.seq).forEach((message, i) => {
          if (i === 0 || cuts[i - 1]) datagrams.push(message);
          else datagrams.push(Buffer.concat([datagrams.pop()!, message]));
        });
        return datagrams;
      });
      t.same(new Connection(kernel).dump(listLinks()), bodies);
    }),
  );
});

t.test("Connection.dump() leaves out late answers to a request that timed out", async (t) => {
  let late = 0;
  const connection = new Connection(
    new Kernel(([r]) => {
      if (late) return [link(late, 2), ...dumped(r!.seq)];
      late = r!.seq;
      return [];
    }),
  );
  t.throws(() => connection.dump(listLinks()), { code: "ETIMEDOUT" });
  t.same(connection.dump(listLinks()), bodies);
});

t.test("Connection.dump() of nothing is empty", async (t) => {
  t.same(new Connection(new Kernel(([r]) => [done(r!.seq)])).dump(listLinks()), []);
});

t.test("Connection.dump() reads an interrupted dump to its end and asks again, after a pause", async (t) => {
  let round = 0;
  const pauses: number[] = [];
  const kernel = new Kernel(([r]) => dumped(r!.seq, round++ < 2 ? NLM_F_DUMP_INTR : 0));
  t.same(new Connection(kernel, (ms) => pauses.push(ms)).dump(listLinks()), bodies);
  t.equal(kernel.sent.length, 3);
  t.equal(pauses.length, 2);
  t.ok(pauses.every((ms) => ms > 0 && ms <= 6));
});

t.test("Connection.dump() gives up after eight interrupted ones, within half a second", async (t) => {
  let pausedMs = 0;
  const kernel = new Kernel(([r]) => dumped(r!.seq, NLM_F_DUMP_INTR));
  t.throws(() => new Connection(kernel, (ms) => (pausedMs += ms)).dump(listLinks()), {
    code: "EAGAIN",
    message: "cannot list links: changes interrupted the dump 8 times (EAGAIN)",
  });
  t.equal(kernel.sent.length, 8);
  t.ok(pausedMs > 90 && pausedMs < 500, `${pausedMs} ms`);
});

t.test("Connection.dump() that may be interrupted has what any try saw, the newest first", async (t) => {
  let round = 0;
  const kernel = new Kernel(([r]) => {
    const whole = dumped(r!.seq, NLM_F_DUMP_INTR);
    return round++ === 0 ? whole : whole.toSpliced(1, 1); // the kernel skips the second link
  });
  const [first, second, ...rest] = bodies as [Buffer, Buffer, ...Buffer[]];
  const found = new Connection(kernel, () => {}).dump(listLinks(), { evenInterrupted: true });
  t.same(found, [first, ...rest, second]);
});

for (const { when, answer } of [
  { when: "before the first object", answer: (seq: number) => [refused(seq)] },
  { when: "in the end of the dump", answer: (seq: number) => [link(seq, 0, NLM_F_MULTI), done(seq, 22)] },
])
  t.test(`Connection.dump() throws what is refused ${when}`, async (t) => {
    const connection = new Connection(new Kernel(([r]) => answer(r!.seq)));
    t.throws(() => connection.dump(listLinks()), NetlinkError);
    t.throws(() => connection.dump(listLinks()), { code: "EINVAL", message: /^cannot list links: / });
  });

import t from "tap";
import { encodeReply, encodeRequest, FrameError, RequestReader, readReply } from "../../daemonset/frames.ts";
import * as fc from "../../lab/properties.ts";

/** As the shim's README has it, written by hand: not our own encoder. */
function frame(name: string, env: string[], stdin: string): Buffer {
  const head = Buffer.from([name, ...env].map((s) => `${s}\0`).join(""));
  const body = Buffer.concat([head, Buffer.from(stdin)]);
  const lengths = Buffer.alloc(9);
  lengths[0] = 1;
  lengths.writeUInt32LE(body.length, 1);
  lengths.writeUInt32LE(head.length, 5);
  return Buffer.concat([lengths, body]);
}

t.test("RequestReader reads a request however the stream cuts it", async (t) => {
  const bytes = frame("railnet-sriov", ["CNI_COMMAND=ADD", "CNI_ARGS=A=b;C=d"], '{"name":"é"}');
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: bytes.length - 1 }), { maxLength: 6 }), (cuts) => {
      const at = [0, ...new Set(cuts.sort((a, b) => a - b)), bytes.length];
      const reader = new RequestReader();
      const got = at.slice(1).map((end, i) => reader.push(bytes.subarray(at[i], end)));
      t.same(got.at(-1), {
        name: "railnet-sriov",
        env: { CNI_COMMAND: "ADD", CNI_ARGS: "A=b;C=d" },
        stdin: '{"name":"é"}',
      });
      t.ok(got.slice(0, -1).every((x) => x === undefined));
    }),
    { numRuns: 50 },
  );
});

for (const { when, bytes } of [
  { when: "another version", bytes: Buffer.from([2, 0, 0, 0, 0, 0, 0, 0, 0]) },
  { when: "a length beyond the limit", bytes: Buffer.from([1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]) },
  { when: "an environment longer than the whole", bytes: Buffer.from([1, 1, 0, 0, 0, 2, 0, 0, 0]) },
])
  t.test(`RequestReader refuses ${when}`, async (t) => {
    t.throws(() => new RequestReader().push(bytes), FrameError);
  });

t.test("encodeReply() counts bytes, not characters", async (t) => {
  t.equal(encodeReply({ exit: 1, stdout: "é", stderr: "" }).toString("hex"), "0100000002000000c3a9");
});

t.test("encodeRequest() and readReply() are the other end", async (t) => {
  const request = { name: "railnet", env: { CNI_COMMAND: "ADD", CNI_ARGS: "A=b=c" }, stdin: '{"ä":1}' };
  t.same(new RequestReader().push(encodeRequest(request)), request);
  const reply = encodeReply({ exit: 3, stdout: "ä", stderr: "" });
  t.same(readReply(reply), { exit: 3, stdout: "ä" });
  for (let length = 0; length < reply.length; length++) t.equal(readReply(reply.subarray(0, length)), undefined);
});

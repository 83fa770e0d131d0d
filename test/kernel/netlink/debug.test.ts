import t from "tap";
import { getLink, setLink } from "../../../kernel/link.ts";
import { Connection } from "../../../kernel/netlink/connection.ts";
import { traceMessages, tracer } from "../../../kernel/netlink/debug.ts";
import { all, guest, last } from "../support/guest.ts";
import { Kernel, withSeq } from "../support/kernel-double.ts";

t.beforeEach(() => {
  delete tracer.write;
});

/** What is traced of a request that is answered with captured datagrams. */
async function traced(act: (connection: Connection) => void, answers: readonly Buffer[]): Promise<string[]> {
  const lines: string[] = [];
  await traceMessages((line) => lines.push(line));
  try {
    act(new Connection(new Kernel(([r]) => answers.map((a) => withSeq(a, r!.seq)))));
  } catch {
    // Refusals are traced too.
  }
  return lines;
}

t.test("traceMessages() shows requests with what they are for, and answers with their fields by name", async (t) => {
  const lines = await traced((c) => c.request(getLink({ name: "rail0v1" })), [last(guest.vf, "user")]);
  t.equal(lines.length, 2);
  t.match(lines[0], /^netlink > 1 GETLINK flags 0x1 \{.*"ifname":"rail0v1".*\} # read rail0v1$/);
  t.match(lines[1], /^netlink < 1 NEWLINK flags 0x0 \{.*"ifname":"rail0v1".*"mtu":1500.*\}$/);
});

t.test("traceMessages() shows a refusal with the kernel's words", async (t) => {
  const lines = await traced((c) => c.request(setLink(3, { mtu: 1 })), [last(guest["refused-mtu"], "user")]);
  t.match(lines[1], /^netlink < 1 .*mtu greater than device maximum \(EINVAL\)$/);
});

t.test("traceMessages() shows bytes where there is no reader, and never throws", async (t) => {
  const rdma = all(guest.devices, "user")[0]!;
  const broken = Buffer.from("0f000000020000000100000000000000", "hex");
  const lines = await traced((c) => c.request(getLink({ index: 1 })), [rdma, broken]);
  t.match(lines[1], /^netlink < 1 5121 flags 0x2 [0-9a-f]{100,}$/);
  const after = await traced((c) => c.request(getLink({ index: 1 })), [broken]);
  t.match(after[1], /^netlink < cannot read a netlink message: its length is wrong: 0f00/);
});

t.test("Connection traces nothing unless it was asked for", async (t) => {
  t.equal(tracer.write, undefined);
});

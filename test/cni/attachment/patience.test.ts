import t from "tap";
import { awaitAnswer, PATIENCE_MS, patiently } from "../../../cni/attachment/patience.ts";
import { NetlinkError } from "../../../kernel/netlink/message.ts";
import { VirtualClock } from "../drivers/support/nic.ts";

for (const blockMs of [0, 800, 2_500])
  t.test(`awaitAnswer() asks for a bounded time, and rests as long as each request took: ${blockMs} ms`, async (t) => {
    const clock = new VirtualClock();
    let asked = 0;
    const answer = await awaitAnswer(
      () => {
        asked++;
        clock.block(blockMs);
        return undefined;
      },
      { clock },
    );
    t.equal(answer, undefined);
    t.ok(asked > 1 && asked < 20, `${asked} times`);
    t.ok(clock.nowMs() <= PATIENCE_MS + blockMs, `${clock.nowMs()} ms`);
    t.ok(clock.rtnlMs <= clock.nowMs() / 2 + blockMs, `rtnl was held for ${clock.rtnlMs} of ${clock.nowMs()} ms`);
  });

t.test("patiently() waits for what is busy, and for nothing else", async (t) => {
  const clock = new VirtualClock();
  const refusals = ["EBUSY", "EAGAIN", "EBUSY"];
  const request = () => {
    const code = refusals.shift();
    if (code) throw new NetlinkError("ask", code, "");
    return "done";
  };
  t.equal(await patiently(request, { clock }), "done");
  const fromMs = clock.nowMs();
  refusals.push("EINVAL");
  await t.rejects(patiently(request, { clock }), { code: "EINVAL" });
  t.equal(clock.nowMs(), fromMs, "at once");
  refusals.push(...Array.from({ length: 99 }, () => "EBUSY"));
  await t.rejects(patiently(request, { clock }), { code: "EBUSY" });
});

t.test("awaitAnswer() ends with the ADD that waits", async (t) => {
  const ending = new AbortController();
  const clock = new VirtualClock();
  const waiting = awaitAnswer(
    () => {
      ending.abort(new Error("the caller is gone"));
      return undefined;
    },
    { clock, signal: ending.signal },
  );
  await t.rejects(waiting, { message: "the caller is gone" });
});

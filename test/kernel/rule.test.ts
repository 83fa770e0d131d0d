import t from "tap";
import { NLM_F_CREATE, NLM_F_EXCL } from "../../kernel/netlink/message.ts";
import { addRule, deleteRule, listRules, parseRule, type Rule } from "../../kernel/rule.ts";
import { hex, sent } from "./support/captures.ts";
import { bodiesOf, replies } from "./support/replies.ts";

for (const { command, rule } of [
  { command: "from 10.0.0.5 lookup 100 priority 1000", rule: { from: "10.0.0.5/32", table: 100, priority: 1000 } },
  { command: "from 10.0.0.0/24 lookup 1000 priority 1001", rule: { from: "10.0.0.0/24", table: 1000, priority: 1001 } },
  {
    command: "from 10.0.0.5 iif rail0 lookup 100 priority 1002",
    rule: { from: "10.0.0.5/32", iif: "rail0", table: 100, priority: 1002 },
  },
  {
    command: "from fd00::5 lookup 100 priority 1000",
    rule: { from: "fd00::5/128", table: 100, priority: 1000 },
    family: "-6 ",
  },
] as { command: string; rule: Rule; family?: string }[])
  t.test(`addRule() sends what \`ip rule add ${command}\` sends`, async (t) => {
    const want = sent(`ip ${rule.from.includes(":") ? "-6 " : ""}rule add ${command}`);
    const message = addRule(rule);
    t.equal(hex(message.body), want.body);
    t.equal(message.type, want.type);
    t.equal(message.flags, NLM_F_CREATE | NLM_F_EXCL);
    t.equal(message.what, `add rule from ${rule.from}`);
  });

t.test("deleteRule() sends what `ip rule del` sends", async (t) => {
  const want = sent("ip rule del from 10.0.0.5 lookup 100 priority 1000");
  const message = deleteRule({ from: "10.0.0.5/32", table: 100, priority: 1000 });
  t.equal(hex(message.body), want.body);
  t.equal(message.type, want.type);
  t.equal(message.flags ?? 0, 0);
});

t.test("listRules() asks for every family", async (t) => {
  t.equal(hex(listRules().body), "000000000000000000000000");
});

for (const { family, captured, bits } of [
  { family: "IPv4", captured: replies.rules, bits: 32 },
  { family: "IPv6", captured: replies.rules6, bits: 128 },
])
  t.test(
    `parseRule() reads of an ${family} dump what ip(8) reads, and nothing of rules without a source`,
    async (t) => {
      const want = captured.ip.map(({ src, srclen = bits, iif, table, priority }) =>
        src === "all" ? undefined : { from: `${src}/${srclen}`, table: Number(table), priority, ...(iif && { iif }) },
      );
      t.ok(want.filter(Boolean).length > 0, "the capture has rules with a source");
      t.same(bodiesOf(captured).map(parseRule), want);
    },
  );

import type { Argv } from "yargs";
import { outputFor } from "../output.ts";
import { count } from "../table.ts";
import type { AuditFinding } from "./audit/finding.ts";
import { type Fixed, fix } from "./audit/fix.ts";
import { look } from "./audit/look.ts";
import { type CommonOptions, type ExitCode, running, UsageError, withCommon } from "./options.ts";
import { Progress } from "./progress.ts";
import { connectTo, findTarget, surroundingsOf } from "./store-target.ts";

interface AuditOptions extends CommonOptions {
  readonly fix: boolean;
  readonly graceSeconds: number;
}

export const registerAudit = (y: Argv): Argv =>
  y.command(
    "audit",
    "compares pools, reservations and pods: duplicates, orphans, lost addresses, strangers",
    (y) =>
      withCommon(y)
        .option("fix", {
          type: "boolean",
          default: false,
          describe: "fix what can be fixed; default: say what would be done",
        })
        .option("grace-seconds", { type: "number", default: 60, describe: "with --fix: pause before the second look" })
        .example("$0 ipam audit", "what is wrong, and what --fix would do")
        .example("$0 ipam audit --fix", "looks twice, a minute apart; an address of a running pod is never freed")
        .example("$0 ipam audit --json | jq '.findings[] | select(.kind == \"duplicate\")'", "for a monitor")
        .epilogue(KINDS)
        .epilogue(JSON_SHAPE),
    running(audit),
  );

const KINDS =
  "duplicate: two living pods have one address. orphan: the pod that has it is gone or has finished. lost: a living pod " +
  "uses it without a reservation. unreserved: a living pod has a pool record without a reservation. unrecorded: beside " +
  "Whereabouts, a reservation without a pool record. stranger: what no pod's address is.";
const JSON_SHAPE =
  'With --json: {"mode", "findings": [{"kind", "ip", "network", "pools", "owners": [{"podref", "ifname", ' +
  '"containerId", "node", "by", "over", "podExists"}], "why", "fix", "advice", "outcome"}], "notes"}; fix is what --fix ' +
  'does: free, reserve, record or none; outcome is empty without --fix, else "done", "left: …" or "failed: …". ' +
  "Exit code 1 when something is wrong, with --fix: when something stays wrong.";

async function audit(options: AuditOptions): Promise<ExitCode> {
  const { graceSeconds } = options;
  if (!(graceSeconds >= 0)) throw new UsageError("cannot use --grace-seconds: want a number of seconds, such as 60");
  const cluster = await connectTo(findTarget(options, surroundingsOf(process.env)), options, "audit addresses");
  using progress = new Progress();
  const first = await look(cluster, progress);
  const canFix = first.findings.filter((finding) => finding.fix !== "none").length;
  let findings: readonly (AuditFinding & Partial<Fixed>)[] = first.findings;
  if (options.fix && canFix > 0) {
    const all = count(first.findings.length, "finding");
    progress.say(
      `${all}, ${canFix} can be fixed; the second look comes in ${graceSeconds} s, what changes until then is left alone`,
    );
    findings = await fix(first, graceSeconds * 1000, cluster, progress);
  }
  const { notes, snapshot } = first;
  const answer = { mode: snapshot.mode, findings: findings.map(toJson), notes };
  outputFor(options).answer(answer, () => report(findings, notes, options.fix));
  return findings.every(({ outcome }) => outcome === "done") ? 0 : 1;
}

/** The stable form: without what is only used in this process. */
const toJson = ({ reservation: _, records: __, ...finding }: AuditFinding & Partial<Fixed>): object => ({
  outcome: "",
  ...finding,
});

/** Pure. */
function report(
  findings: readonly (AuditFinding & Partial<Fixed>)[],
  notes: readonly string[],
  isFixing: boolean,
): string {
  const blocks = findings.map((finding) => {
    const at = [finding.ip || finding.pools.join(", "), finding.network && `(${finding.network})`]
      .filter(Boolean)
      .join(" ");
    return `${finding.kind}  ${at}\n  ${finding.why}\n  ${whatNext(finding, isFixing)}\n`;
  });
  return [...blocks, ...notes.map((note) => `note: ${note}\n`), `${summary(findings, isFixing)}\n`].join("");
}

function whatNext({ fix, advice, outcome }: AuditFinding & Partial<Fixed>, isFixing: boolean): string {
  if (outcome) return outcome;
  return fix === "none" || isFixing ? advice : `with --fix: ${advice}`;
}

function summary(findings: readonly (AuditFinding & Partial<Fixed>)[], isFixing: boolean): string {
  if (findings.length === 0) return "nothing is wrong: pools, reservations and pods agree";
  const kinds = [...Map.groupBy(findings, ({ kind }) => kind)].map(([kind, those]) =>
    count(those.length, kind, PLURAL[kind]),
  );
  const done = findings.filter(({ outcome }) => outcome === "done").length;
  const open = findings.filter(({ fix }) => fix !== "none").length;
  const rest = isFixing ? `${done} fixed` : `${open} can be fixed with --fix`;
  return `${count(findings.length, "finding")}: ${kinds.join(", ")}; ${rest}`;
}
const PLURAL = {
  lost: "lost",
  unreserved: "unreserved",
  unrecorded: "unrecorded",
  duplicate: "duplicates",
  orphan: "orphans",
  stranger: "strangers",
};

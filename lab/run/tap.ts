// What a test file's standard output proves, by TAP 14 (https://testanything.org/tap-version-14-specification.html) as node-tap
// writes it: test points in order, a plan at every level, subtests before the point that stands for them. Counted are the points
// themselves, not what the output says about their number.

export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

interface Level {
  /** Points that came, and how many the plan says. */
  count: number;
  plan?: number;
  /** Of its points, and of the points below them. */
  failed: number;
}

const POINT = /^(not )?ok (\d+)\b(?:.*?(?<!\\)# (SKIP|TODO)\b)?/i;
const PLAN = /^1\.\.(\d+)(?: *# *SKIP\b)?/i;
/** Four spaces a level. */
const INDENT = 4;

/** Follows the output of one file, a line at a time. */
export class TapReader {
  readonly counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  /** What is wrong with the output itself: each says that something is not proven. */
  readonly problems: string[] = [];
  /** Failures whole, skips, and what the file says about itself (a seed, say). */
  readonly shown: string[] = [];
  readonly comments: string[] = [];
  #levels: Level[] = [];
  /** The indent of the YAML block that the reader is in. */
  #block: string | undefined;
  #showing = false;

  read(line: string): void {
    const [, indent = "", text = ""] = /^( *)(.*)$/.exec(line) ?? [];
    if (this.#block !== undefined) {
      if (text === "..." && indent === this.#block) this.#block = undefined;
    } else if (text === "---" && indent.length % INDENT === 2) {
      this.#block = indent;
    } else if (indent.length % INDENT === 0) {
      this.#statement(text, indent.length / INDENT);
    }
    if (this.#showing) this.shown.push(line);
  }

  /** To be called when the output has ended. */
  end(): void {
    const [top = { count: 0, failed: 0 }, ...open] = this.#levels;
    this.#showing = false;
    if (open.length > 0) this.problems.push("the output ends within a subtest");
    else if (top.plan === undefined) this.problems.push("the output ends without a plan");
    this.#checkPlan(top, "the file");
    if (top.count === 0 && this.counts.skipped === 0) this.problems.push("no tests");
  }

  #statement(text: string, depth: number): void {
    const point = POINT.exec(text);
    const plan = PLAN.exec(text);
    if (point) this.#point(text, depth, point);
    else if (plan) this.#plan(Number(plan[1]), depth, / *# *SKIP/i.test(text));
    else if (text.startsWith("Bail out!")) this.problems.push(text);
    else if (text.startsWith("# ")) this.#comment(text);
  }

  #comment(text: string): void {
    const isOfTap = /^# (Subtest\b|time=|\{ )/.test(text);
    if (isOfTap) this.#showing = false;
    else if (!this.#showing) this.comments.push(text);
  }

  #point(text: string, depth: number, [, not, number, directive]: RegExpExecArray): void {
    const inner = this.#levels[depth + 1];
    this.#closeBelow(depth, text);
    const level = this.#level(depth);
    if (Number(number) !== ++level.count)
      this.problems.push(`test point ${level.count} is not "${text}": something else writes to standard output`);
    const isSkipped = directive !== undefined;
    const failedBelow = inner?.failed ?? 0;
    const fails = not !== undefined && !isSkipped && failedBelow === 0;
    if (isSkipped) this.counts.skipped++;
    else if (fails) this.counts.failed++;
    else if (!inner || inner.count === 0) this.counts.passed++;
    else if (!not && failedBelow > 0) this.problems.push(`"${text}" although something in it failed`);
    level.failed += failedBelow + Number(fails);
    this.#showing = not !== undefined && !isSkipped;
    if (isSkipped) this.shown.push(text);
  }

  #plan(said: number, depth: number, isSkip: boolean): void {
    const level = this.#level(depth);
    if (level.plan !== undefined) this.problems.push(`a second plan, 1..${said}`);
    level.plan = said;
    if (said === 0 && isSkip) this.counts.skipped++;
  }

  #level(depth: number): Level {
    while (this.#levels.length <= depth) this.#levels.push({ count: 0, failed: 0 });
    return this.#levels[depth]!;
  }

  /** A point stands for the subtests since the one before it. */
  #closeBelow(depth: number, text: string): void {
    for (const level of this.#levels.splice(depth + 1)) this.#checkPlan(level, `"${text}"`);
  }

  #checkPlan({ count, plan }: Level, what: string): void {
    if (plan !== undefined && plan !== count) this.problems.push(`${what} planned ${plan} tests, and ${count} came`);
    if (plan === undefined && count > 0 && what !== "the file") this.problems.push(`${what} has no plan`);
  }
}

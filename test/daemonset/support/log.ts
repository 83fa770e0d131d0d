import type { Log } from "../../../cni/host.ts";

export interface Line {
  readonly level: "debug" | "info" | "warn";
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A log that keeps its lines. */
export class KeptLog implements Log {
  readonly lines: Line[] = [];
  debug = this.#keep("debug");
  info = this.#keep("info");
  warn = this.#keep("warn");

  /** Takes out what came since the last time: `level message: why`. */
  take(): string[] {
    return this.lines
      .splice(0)
      .map(({ level, message, fields }) => [`${level} ${message}`, fields["why"]].filter(Boolean).join(": "));
  }

  #keep(level: Line["level"]) {
    return (fields: object, message: string) => void this.lines.push({ level, message, fields: { ...fields } });
  }
}

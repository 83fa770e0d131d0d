import { readFileSync } from "node:fs";

/** One netlink request as ip(8) 6.1 was seen to send it; capture.sh makes the file anew. */
export interface Sent {
  readonly type: number;
  readonly flags: number;
  /** What follows `struct nlmsghdr`, in hex. */
  readonly body: string;
}

const requests = new Map<string, Sent>(
  readFileSync(new URL("captures.tsv", import.meta.url), "utf8")
    .trim()
    .split("\n")
    .map((line) => {
      const [command = "", type, flags, body = ""] = line.split("\t");
      return [command, { type: Number(type), flags: Number(flags), body }];
    }),
);

/** The last message of a command. @throws when it was not captured: a test must not compare with nothing. */
export function sent(command: string): Sent {
  const found = requests.get(command);
  if (!found) throw new Error(`cannot find a capture of "${command}": add it to captures.tsv`);
  return found;
}

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

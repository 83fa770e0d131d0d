/** The errno name that an error carries (`ENOENT`), whoever threw it: Node, a syscall, or netlink. */
export function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === "string" ? code : undefined;
}

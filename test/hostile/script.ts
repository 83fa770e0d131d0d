import type { Action } from "./actions.ts";

/**
 * Functions of the script. `inside PLACE COMMAND` runs a command in a namespace: 0 is the pod's own, the others are nested.
 * `nest PLACE N` makes the Nth below PLACE; a process holds it, whose id is printed. `move PLACE LINK N` moves a link there.
 */
const PRELUDE = `
holders=()
inside() { local at=$1; shift; if [ "$at" = 0 ]; then "$@"; else nsenter -t "\${holders[$at]}" -U -n --preserve-credentials "$@"; fi; }
nest() {
  if [ "$1" = 0 ]; then unshare -Urn sleep 3600 > /dev/null 2>&1 < /dev/null &
  else nsenter -t "\${holders[$1]}" -U -n --preserve-credentials unshare -Urn sleep 3600 > /dev/null 2>&1 < /dev/null & fi
  holders[$2]=$!; echo "$!"
  while [ -e "/proc/$!" ] && [ "$(< "/proc/$!/comm")" != sleep ]; do sleep 0.01; done
}
move() { inside "$1" ip link set "$2" netns "\${holders[$3]}"; }
`;

/** Bash text that does these things and prints the ids of what lives on: the pod's processes. */
export function scriptOf(actions: readonly Action[], index: number): string {
  const parts = [PRELUDE, `vf() { inside "$1" ip -o link show if${index} | sed 's/^[0-9]*: \\([^:@]*\\).*/\\1/'; }`];
  for (let i = 0; i < actions.length; ) {
    const { kind, at, text } = actions[i]!;
    let end = i + 1;
    while (kind === "ip" && actions[end]?.kind === "ip" && actions[end]!.at === at) end++;
    // Lines of ip(8) that follow each other at one place are one process.
    const lines = actions.slice(i, end).map((a) => a.text);
    if (kind === "ip") parts.push(`inside ${at} ip -force -batch - <<'END'`, ...lines, "END");
    else
      parts.push(/^(nest|move) /.test(text) ? text : `inside ${at} ${text.replace("VF", `"$(vf ${at})"`)} > /dev/null`);
    i = end;
  }
  return `${parts.join("\n")}\ntrue\n`;
}

/** Root of an ordinary container (containerd's default capabilities, of those that matter here) with NET_ADMIN. */
const CAPABILITIES = "-all,+net_admin,+net_raw,+setfcap,+setpcap,+setuid,+setgid,+kill,+sys_chroot";
export const AS_POD = ["setpriv", `--bounding-set=${CAPABILITIES}`, `--inh-caps=${CAPABILITIES}`, "bash", "-s"];

import type { Place, ShellLimits } from "./place.ts";

/** An RDMA port and the index of a GID in its table: perftest's -d, -i, -x. */
export interface RdmaGid {
  readonly device: string;
  readonly port: number;
  readonly index: number;
}

interface GidEntry extends RdmaGid {
  /** IPv4 as `192.168.0.1`, IPv6 with all its digits. */
  readonly address: string;
  /** `RoCE v2`, `IB/RoCE v1`. */
  readonly type: string;
  /** Its link; in shared mode it may be of another namespace. */
  readonly link: string;
}

/** What a place has, as its own kernel says. */
export interface Survey {
  readonly addresses: readonly { readonly link: string; readonly address: string }[];
  readonly gids: readonly GidEntry[];
  readonly programs: readonly string[];
  readonly kernel?: string;
  /** As `ib_write_bw --version` says. */
  readonly perftest?: string;
  /** Speed in Mb/s, absent without carrier. */
  readonly links: ReadonlyMap<string, { readonly mtu: number; readonly speed?: number }>;
  /** State of `device port`: `ACTIVE`, `DOWN`. */
  readonly ports: ReadonlyMap<string, string>;
  /** Errors that ports counted, by `device port`, then by name. */
  readonly counters: ReadonlyMap<string, Readonly<Record<string, number>>>;
}

/** What tells a sick way: mlx5's and rxe's hw_counters, as Documentation/infiniband and rxe_hw_counters.c name them. */
const COUNTERS = [
  ...["out_of_sequence", "packet_seq_err", "local_ack_timeout_err", "rnr_nak_retry_err", "implied_nak_seq_err"],
  ...["np_cnp_sent", "rp_cnp_handled", "rx_icrc_encapsulated", "roce_adp_retrans"],
  ...["out_of_seq_request", "retry_exceeded_err", "rcvd_seq_err", "send_rnr_err", "retry_rnr_exceeded_err"],
];

/** POSIX sh, `ip` and `grep`: one process a port, because soft-RoCE's tables have 1024 entries. */
const SCRIPT = `
for program in ip ib_write_bw ib_read_bw ib_send_bw ib_write_lat iperf3; do command -v $program > /dev/null && echo "program $program"; done
ip -o addr 2> /dev/null | while read -r line; do echo "address $line"; done
for port in /sys/class/infiniband/*/ports/*; do
  grep -sHv '^0000:0000:0000:0000:0000:0000:0000:0000$' "$port"/gids/* | while read -r entry; do
    file=\${entry%%:*} index=\${file##*/}
    type= link=
    read -r type < "$port/gid_attrs/types/$index"
    read -r link < "$port/gid_attrs/ndevs/$index"
    device=\${port#/sys/class/infiniband/}
    echo "gid \${device%%/*} \${port##*/} $index \${entry#*:} \${link:--} $type"
  done
done 2> /dev/null
read -r kernel < /proc/sys/kernel/osrelease; echo "kernel $kernel"
echo "version $(ib_write_bw --version 2> /dev/null)"
for link in /sys/class/net/*; do
  mtu= speed=
  { read -r mtu < "$link/mtu"; read -r speed < "$link/speed"; } 2> /dev/null
  echo "link \${link##*/} \${mtu:--} \${speed:--}"
done
for port in /sys/class/infiniband/*/ports/*; do
  device=\${port#/sys/class/infiniband/} state=
  read -r state < "$port/state" && echo "port \${device%%/*} \${port##*/} $state"
  for counter in ${COUNTERS.join(" ")}; do
    read -r value < "$port/hw_counters/$counter" && echo "counter \${device%%/*} \${port##*/} $counter $value"
  done
done 2> /dev/null
true`;

export async function surveyOf(place: Place, limits: ShellLimits): Promise<Survey> {
  const { exit, stdout, stderr } = await place.sh(SCRIPT, limits);
  if (exit !== 0) throw new Error(`cannot look at ${place.name}: ${stderr.trim()} (exit ${exit})`);
  return parseSurvey(stdout);
}

export function parseSurvey(output: string): Survey {
  const lines = output.split("\n");
  const of = (pattern: RegExp) => lines.flatMap((line) => pattern.exec(line)?.slice(1) ?? []);
  const rows = (pattern: RegExp) => lines.map((line) => pattern.exec(line)).filter((found) => found !== null);
  const [kernel, perftest] = [of(/^kernel (\S+)$/)[0], of(/^version Version: (\S+)$/)[0]];
  const counters = Map.groupBy(rows(/^counter (\S+ \d+) (\w+) (\d+)$/), ([, port]) => port!);
  return {
    ...(kernel && { kernel }),
    ...(perftest && { perftest }),
    links: new Map(
      rows(/^link (\S+) (\d+) (-|-?\d+)$/).map(([, link, mtu, speed]) => [
        link!,
        { mtu: Number(mtu), ...(Number(speed) > 0 && { speed: Number(speed) }) },
      ]),
    ),
    ports: new Map(rows(/^port (\S+ \d+) \d+: (\w+)$/).map(([, port, state]) => [port!, state!])),
    counters: new Map(
      [...counters].map(([port, all]) => [
        port,
        Object.fromEntries(all.map(([, , name, value]) => [name!, Number(value)])),
      ]),
    ),
    programs: of(/^program (\S+)$/),
    addresses: lines.filter((line) => line.startsWith("address ")).flatMap(addressIn),
    gids: rows(/^gid (\S+) (\d+) (\d+) ([0-9a-f:]{39}) (\S+) (.*)$/).map(
      ([, device, port, index, gid, link, type]) => ({
        device: device!,
        port: Number(port),
        index: Number(index),
        address: addressOf(gid!),
        link: link!,
        type: type!,
      }),
    ),
  };
}

/** The address of a link to measure with: IPv4 before IPv6. */
export function addressOn({ addresses }: Survey, link: string): string | undefined {
  const mine = addresses.filter((one) => one.link === link).map(({ address }) => address);
  return mine.find((address) => !address.includes(":")) ?? mine[0];
}

/**
 * The RoCE v2 GID of an address. By its address, not by its link: in shared mode a pod sees the tables of all devices of
 * its node, and `net1` is in all of them. Undefined: the link has no RDMA device.
 * @throws when it has one, without such a GID.
 */
export function gidFor({ gids }: Survey, link: string, address: string): RdmaGid | undefined {
  const found = gids.find((gid) => gid.address === address && gid.type === "RoCE v2" && gid.link === link);
  if (found) return { device: found.device, port: found.port, index: found.index };
  const others = gids.filter((gid) => gid.link === link);
  if (others.length === 0) return undefined;
  const has = others.map(({ device, index, address, type }) => `${device} ${index}: ${address} ${type}`).join(", ");
  throw new Error(`no RoCE v2 GID of ${address} for ${link}; it has ${has}`);
}

/** A line of `ip -o addr`: `5: net1    inet 192.168.0.11/24 brd … scope global net1\\ …`; none unless its scope is global. */
function addressIn(line: string): Survey["addresses"] {
  const [, , link = "", family = "", address = "", ...rest] = line.split(/\s+/);
  if (!/^inet6?$/.test(family) || rest[rest.indexOf("scope") + 1] !== "global") return [];
  return [{ link: link.split("@")[0]!, address: canonical(address.split("/")[0]!) }];
}

/** A GID of an IPv4 address is that address mapped into IPv6. */
function addressOf(gid: string): string {
  const mapped = /^(?:0000:){5}ffff:(..)(..):(..)(..)$/.exec(gid);
  return mapped
    ? mapped
        .slice(1)
        .map((byte) => Number.parseInt(byte, 16))
        .join(".")
    : gid;
}

/** IPv6 with all its digits, as GIDs are written. */
function canonical(address: string): string {
  if (!address.includes(":")) return address;
  const [head = "", tail = ""] = address.split("::");
  const [front, back] = [head, tail].map((part) => part.split(":").filter(Boolean)) as [string[], string[]];
  const middle = address.includes("::") ? Array<string>(8 - front.length - back.length).fill("0") : [];
  return [...front, ...middle, ...back].map((group) => group.padStart(4, "0")).join(":");
}

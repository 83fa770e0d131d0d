// The double of igb is honest: the same requests, one after the other, to it and to the kernel's own driver.
import t from "tap";
import { Machine } from "../../../lab/vm/machine.ts";
import { type DoubleLink, type Errno, Nic, VirtualClock } from "../../cni/drivers/support/nic.ts";
import { PROFILES } from "../../cni/drivers/support/profiles.ts";

t.setTimeout(900_000);

const X = "02:ad:00:00:00:01";
const Y = "02:66:00:00:00:02";
const NONE = "00:00:00:00:00:00";

/** One request: to ip(8), and to the double. */
interface Request {
  readonly ip: string;
  readonly double: (nic: Nic) => void;
}

const atPf = (ip: string, wanted: Parameters<Nic["set"]>[1]): Request => ({
  ip: `link set rail0 vf 0 ${ip}`,
  double: (nic) => nic.set(0, wanted),
});
const admin = (mac: string) => atPf(`mac ${mac}`, { mac });
const trust = (on: boolean) => atPf(`trust ${on ? "on" : "off"}`, { trust: on });
const spoofchk = (on: boolean) => atPf(`spoofchk ${on ? "on" : "off"}`, { spoofchk: on });
const vlan = (id: number, qos = 0) => atPf(`vlan ${id} qos ${qos}`, { vlan: id, qos, proto: 0x8100 });
const qinq = atPf("vlan 5 proto 802.1ad", { vlan: 5, qos: 0, proto: 0x88a8 });
const rate = (min: number, max: number) =>
  atPf(`min_tx_rate ${min} max_tx_rate ${max}`, { minTxRate: min, maxTxRate: max });
const state = (linkState: "enable" | "auto") => atPf(`state ${linkState}`, { linkState });
const own = (mac: string): Request => ({
  ip: `link set rail0v0 address ${mac}`,
  double: (nic) => nic.setLinkMac(nic.vfs[0]!, mac),
});
const set = (up: boolean): Request => ({
  ip: `link set rail0v0 ${up ? "up" : "down"}`,
  double: (nic) => nic.setUp(nic.vfs[0]!, up),
});
const mtu = (bytes: number): Request => ({
  ip: `link set rail0v0 mtu ${bytes}`,
  double: (nic) => nic.setMtu(nic.vfs[0]!, bytes),
});

/** Of igb's rows each, and in the orders that ADD and DEL have them; then some at random, the same at each run. */
const REQUESTS: readonly Request[] = [
  ...[own(Y), own(X), admin(Y), own(Y), own(X), admin(NONE), own(X), own(Y)],
  ...[admin(X), trust(true), own(X), own(Y), trust(false), own(X), admin(NONE), own(X), set(true), set(false)],
  ...[admin("01:00:5e:00:00:01"), vlan(100, 3), vlan(100, 3), vlan(0), qinq, spoofchk(false), spoofchk(true)],
  ...[rate(0, 500), rate(100, 500), rate(0, 2000), rate(0, 0), state("enable"), state("auto"), mtu(9000), mtu(1500)],
];
const RANDOM = [own(X), own(Y), admin(X), admin(Y), admin(NONE), trust(true), trust(false), set(true), set(false)];

function* some(count: number): Generator<Request> {
  for (let seed = 7; count-- > 0; ) {
    seed = (seed * 1103515245 + 12345) % 2 ** 31;
    yield RANDOM[(seed >> 8) % RANDOM.length]!;
  }
}

/** What both show after a request. */
interface Shown {
  readonly refused: string | undefined;
  readonly vf: object;
  readonly link: object;
}

/** ip(8) says the errno in words. */
const WORDS: Readonly<Record<string, string>> = {
  "Invalid argument": "EINVAL",
  "Operation not supported": "EOPNOTSUPP",
  "Protocol not supported": "EPROTONOSUPPORT",
  "Cannot assign requested address": "EADDRNOTAVAIL",
};

t.test("the double of igb answers and shows what the kernel's driver does, request by request", async (t) => {
  await using machine = await Machine.start({ name: "drivers", vfs: 1 });
  const requests = [own(X), ...REQUESTS, ...some(40)]; // the PF shows the VF's MAC once that was set
  await machine.ask(
    "ip link set rail0 up mtu 9000; for ((i = 0; i < 600; i++)); do [ $(</sys/class/net/rail0/carrier) = 1 ] && exit 0; sleep 0.1; done; exit 1",
  );
  // The PF's change of MTU is a reset, after which it does not listen to a VF until that one was reset too (igb_rcv_msg_from_vf).
  await machine.ask("ip link set rail0v0 up && ip link set rail0v0 down");
  const script = requests.map(
    ({ ip }) =>
      `ip ${ip} > /tmp/said 2>&1; echo "R $? $(tr '\\n' ' ' < /tmp/said)"; ip -j link show rail0; ip -j link show rail0v0`,
  );
  const lines = (await machine.ask(script.join("\n"), { timeoutMs: 600_000 })).trim().split("\n");
  const first = JSON.parse(lines[2]!)[0] as { address: string };
  const nic = doubleOf(first.address);
  for (const [i, { ip, double }] of requests.entries()) {
    const [said, pf, link] = lines.slice(3 * i, 3 * i + 3) as [string, string, string];
    t.same(ask(nic, double), fromKernel(said, pf, link), `${i}: ip ${ip}`);
    if (!t.passing()) break; // what follows would only repeat it
  }
});

function doubleOf(mac: string): Nic {
  const link = (name: string): DoubleLink => ({
    index: 1,
    name,
    mac,
    mtu: 1500,
    alias: "",
    altnames: [],
    up: false,
    type: 1,
    pci: "",
    permMac: mac,
  });
  return new Nic(PROFILES.igb, new VirtualClock(), link("rail0"), [link("rail0v0")]);
}

function ask(nic: Nic, request: (nic: Nic) => void): Shown {
  let refused: string | undefined;
  try {
    request(nic);
  } catch (error) {
    refused = (error as Errno).code;
  }
  const { link, state } = nic.vfs[0]!;
  const { proto: _, linkState: __, ...vf } = state;
  return { refused, vf, link: { mac: link.mac, mtu: link.mtu, up: link.up } };
}

function fromKernel(said: string, pf: string, vf: string): Shown {
  const [, exit, words = ""] = /^R (\d+) ?(.*?) ?$/.exec(said)!;
  const refused =
    exit === "0" ? undefined : (Object.entries(WORDS).find(([text]) => words.includes(text))?.[1] ?? words);
  const [
    {
      vfinfo_list: [at],
    },
  ] = JSON.parse(pf);
  const [{ address: mac, mtu, flags }] = JSON.parse(vf);
  const { vlan = 0, qos = 0 } = at.vlan_list?.[0] ?? {};
  const { min_tx: minTxRate, max_tx: maxTxRate } = at.rate;
  const shown = { mac: at.address, vlan, qos, minTxRate, maxTxRate, spoofchk: at.spoofchk, trust: at.trust };
  return { refused, vf: shown, link: { mac, mtu, up: flags.includes("UP") } };
}

import t from "tap";
import { cleanLink, settingDifferences } from "../../../cni/attachment/link-state/clean.ts";
import { restoreState } from "../../../cni/attachment/link-state/restore.ts";
import { type LinkStateRecord, linkState } from "../../../cni/attachment/link-state/snapshot.ts";
import { settingsToChange } from "../../../cni/attachment/link-state/table.ts";
import type { Host } from "../../../cni/host.ts";
import type { EthtoolGroup, EthtoolSettings } from "../../../kernel/ethtool.ts";
import { type Link, parseLink, setLink } from "../../../kernel/link.ts";
import type { LinkSettings } from "../../../kernel/link-settings.ts";
import { type Message, NetlinkError } from "../../../kernel/netlink/message.ts";

const FRESH: Partial<LinkSettings> = {
  arp: true,
  multicast: true,
  promisc: false,
  allmulticast: false,
  dynamic: false,
  trailers: true,
  broadcast: "ff:ff:ff:ff:ff:ff",
  mode: 0,
  txqlen: 1000,
  group: 0,
  gsoMaxSize: 65536,
  gsoIpv4MaxSize: 65536,
};

/** A link with these settings, as the kernel would show it. */
function linkWith(settings: Partial<LinkSettings>, more: Partial<Link> = {}): Link {
  return {
    ...parseLink(Buffer.from(setLink(7, { name: "rail0v0", settings: { ...FRESH, ...settings } }).body)),
    ...more,
  };
}

/** A kernel that notes what it is asked to do with a link, and refuses what `refuses` says. */
class Kernel {
  readonly asked: string[] = [];
  readonly ethtool: Record<string, EthtoolSettings> = {};
  readonly host: Host;

  readonly warnings: object[] = [];

  constructor(refuses: (what: string) => boolean = () => false, errno = "EINVAL") {
    const note = (what: string) => {
      this.asked.push(what);
      if (refuses(what)) throw new NetlinkError(what, errno, "");
    };
    this.host = {
      rtnl: { request: ({ what }: Message) => void note(what) },
      ethtool: {
        read: (_: number, group: EthtoolGroup) => {
          if (!this.ethtool[group]) throw new NetlinkError(`read ${group}`, "EOPNOTSUPP", "");
          return this.ethtool[group];
        },
        write: (_: number, group: EthtoolGroup, wanted: EthtoolSettings, now: EthtoolSettings) => {
          if (JSON.stringify(wanted) !== JSON.stringify(now)) note(`set ${group}`);
        },
      },
      log: { warn: (fields: object) => void this.warnings.push(fields) },
    } as unknown as Host;
  }
}

t.test("settingsToChange() names what differs, and what the kernel changes along with it", async (t) => {
  const { settings } = linkWith({ group: 3, gsoMaxSize: 30000 });
  t.same(settingsToChange(FRESH, settings), { group: 0, gsoMaxSize: 65536, gsoIpv4MaxSize: 65536 });
});

t.test("settingsToChange() leaves out what the link's kernel does not know", async (t) => {
  const { groMaxSize: _, ...settings } = linkWith({}).settings;
  t.same(settingsToChange({ ...FRESH, groMaxSize: 1 }, settings as LinkSettings), {});
});

t.test("restoreState() and cleanLink() ask for nothing where nothing differs", async (t) => {
  const kernel = new Kernel();
  restoreState({ settings: FRESH }, linkWith({}), kernel.host);
  cleanLink(linkWith({}), kernel.host);
  t.same(kernel.asked, []);
});

t.test("restoreState() asks for all that differs at once", async (t) => {
  const kernel = new Kernel();
  restoreState({ settings: FRESH }, linkWith({ arp: false, txqlen: 77, group: 7 }), kernel.host);
  t.same(kernel.asked, ["restore arp, txqlen, group of rail0v0"]);
});

t.test("restoreState() sets each for itself where one is refused, and says which", async (t) => {
  const kernel = new Kernel((what) => /txqlen/.test(what));
  kernel.ethtool["rings"] = { rx: 80 };
  const original: LinkStateRecord = { settings: FRESH, ethtool: { rings: { rx: 1024 } } };
  t.throws(() => restoreState(original, linkWith({ arp: false, txqlen: 77, group: 7 }), kernel.host), {
    message: /restore txqlen of rail0v0/,
  });
  t.same(kernel.asked, [
    "restore arp, txqlen, group of rail0v0",
    "restore arp of rail0v0",
    "restore txqlen of rail0v0",
    "restore group of rail0v0",
    "set rings",
  ]);
});

const TUNED = {
  features: { bits: "1:01" },
  rings: { rx: 80 },
  channels: { combined: 1 },
  coalescing: { "rx-usecs": 9 },
};
const asFound: LinkStateRecord = {
  settings: FRESH,
  ethtool: {
    features: { bits: "1:00" },
    rings: { rx: 1024 },
    channels: { combined: 4 },
    coalescing: { "rx-usecs": 3 },
  },
};

t.test("restoreState() tries each group of the driver's, and owes no number that is refused for good", async (t) => {
  const kernel = new Kernel((what) => /set (rings|channels|coalescing)/.test(what));
  Object.assign(kernel.ethtool, TUNED);
  restoreState(asFound, linkWith({}), kernel.host);
  t.same(kernel.asked.toSorted(), ["set channels", "set coalescing", "set features", "set rings"]);
  t.match(
    kernel.warnings.map((one) => (one as { group: string }).group),
    ["rings", "channels", "coalescing"].filter((group) => group in TUNED),
  );
});

for (const [what, refused, errno] of [
  ["owes what a busy driver refuses", /set rings/, "EBUSY"],
  ["owes features, which change what works", /set features/, "EINVAL"],
] as const)
  t.test(`restoreState() ${what}`, async (t) => {
    const kernel = new Kernel((asked) => refused.test(asked), errno);
    Object.assign(kernel.ethtool, TUNED);
    t.throws(() => restoreState(asFound, linkWith({}), kernel.host), { code: errno });
    t.equal(kernel.asked.length, 4, "and tries the others");
    t.same(kernel.warnings, []);
  });

t.test("restoreState() by a record that knows nothing makes a link hear and speak, and leaves the rest", async (t) => {
  const kernel = new Kernel();
  restoreState({}, linkWith({ arp: false, promisc: true, txqlen: 77 }), kernel.host);
  t.same(kernel.asked, ["restore arp, promisc of rail0v0"]);
});

t.test("linkState() records of the driver what it has", async (t) => {
  const kernel = new Kernel();
  kernel.ethtool["channels"] = { combined: 4 };
  t.match(linkState(linkWith({}), kernel.host), { settings: FRESH, ethtool: { channels: { combined: 4 } } });
  t.equal(linkState(linkWith({}), {}).ethtool, undefined, "a kernel without ethtool by netlink");
});

t.test("settingDifferences() names what makes a link deaf or mute, in the words of ip(8)", async (t) => {
  t.same(settingDifferences(linkWith({ arp: false, promisc: true, txqlen: 1 })), ["its arp is off, ADD set on"]);
});

t.test("the double's link is what it says", async (t) => {
  t.match(linkWith({ arp: false }), { index: 7, name: "rail0v0", settings: { arp: false, multicast: true } });
});

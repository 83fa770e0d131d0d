import { AF_INET } from "./protocols.ts";
import type { Ask } from "./rx-rules.ts";
import { addressOf, Fd } from "./syscall.ts";

/** include/uapi/linux/sockios.h. */
const SIOCETHTOOL = 0x8946;
const SOCK_DGRAM = 2;
/** `struct ifreq`: a name, and a pointer. */
const IFREQ = { size: 40, data: 16 };

/** ethtool by ioctl(2), in the network namespace of the calling thread: a command of include/uapi/linux/ethtool.h. */
export const askByIoctl: Ask = (link, command) => {
  using socket = Fd.socket(AF_INET, SOCK_DGRAM, 0);
  const request = Buffer.alloc(IFREQ.size);
  request.write(link, 0, IFREQ.data - 1);
  request.writeBigUInt64LE(addressOf(command), IFREQ.data);
  socket.ioctl(SIOCETHTOOL, request);
};

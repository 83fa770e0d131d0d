/** Address families, include/linux/socket.h. */
export const AF_INET = 2;
export const AF_INET6 = 10;

/** Ethertypes of VLAN tags, include/uapi/linux/if_ether.h: 802.1Q and 802.1ad. */
export const ETH_P_8021Q = 0x8100;
export const ETH_P_8021AD = 0x88a8;

// In the place of kernel/bpf.ts: the double's links have no programs.
export function detachTcx(): void {}
export function detachXdpLink(): void {}

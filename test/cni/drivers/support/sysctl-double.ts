// In the place of kernel/sysctl.ts: the double has no files of sysctls.
export function writeSysctl(): void {}
export const readSysctl = (): string => "";

// Import this first: from then on the product's system calls are the double's.
import { registerHooks } from "node:module";

const DOUBLES: Record<string, string> = {
  "/kernel/syscall.ts": new URL("syscall-double.ts", import.meta.url).href,
  "/kernel/bpf.ts": new URL("bpf-double.ts", import.meta.url).href,
  "/kernel/sysctl.ts": new URL("sysctl-double.ts", import.meta.url).href,
};

registerHooks({
  resolve(specifier, context, next) {
    const found = next(specifier, context);
    const double = Object.entries(DOUBLES).find(([path]) => found.url.endsWith(path));
    return double ? { ...found, url: double[1] } : found;
  },
});

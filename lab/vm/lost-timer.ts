/**
 * Whether a guest's console says that one of its processors takes no timer interrupts any more. Seen once in some hundred boots,
 * with QEMU 10.0 under TCG: the processor sleeps, and its APIC has the timer's vector both in service and requested. Whatever
 * waits for a timer there waits for ever; a grace period of RCU does, and says so (kernel/rcu/tree_stall.h).
 */
export const hasLostTimer = (console: string): boolean => /Possible timer handling issue on cpu=\d/.test(console);

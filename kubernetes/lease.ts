import type { KubeObject } from "./cluster.ts";

/** metav1.MicroTime: exactly six digits after the point. */
export const microTime = (date: Date): string => date.toISOString().replace("Z", "000Z");

/** `leases.coordination.k8s.io`, v1. */
export interface Lease extends KubeObject {
  readonly spec: {
    /** Empty: released. */
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    readonly acquireTime?: string;
    readonly renewTime?: string;
    readonly leaseTransitions?: number;
  };
}

/** The lease that a running Whereabouts takes for each ADD and DEL. */
export const WHEREABOUTS_LEASE = "whereabouts";

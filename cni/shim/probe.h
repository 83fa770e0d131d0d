#ifndef RAILNET_PROBE_H
#define RAILNET_PROBE_H

/* As railnet-probe PATH: asks the agent for /healthz or /readyz on its unix socket, as a kubelet's exec probe does. Prints
 * why not. The exit status: 0 for 200. */
int probe(char **arguments);

#endif

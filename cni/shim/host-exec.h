#ifndef RAILNET_HOST_EXEC_H
#define RAILNET_HOST_EXEC_H

/* `railnet-host-exec BINARY ARGUMENT...`: becomes BINARY in the mount namespace of process 1, in its root directory.
 * All else stays: network namespace, environment, descriptors. Needs CAP_SYS_ADMIN and CAP_SYS_CHROOT. Returns an exit
 * status, after a CNI error has been printed, only if that is not possible. */
int host_exec(char **arguments, char **environment);

#endif

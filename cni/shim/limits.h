/* Paths, limits and timeouts. A test build gives its own paths with -D. */
#ifndef RAILNET_LIMITS_H
#define RAILNET_LIMITS_H

#ifndef RAILNET_SOCKET
#define RAILNET_SOCKET "/run/railnet/agent.sock"
#endif
#ifndef RAILNET_HEALTH_SOCKET
#define RAILNET_HEALTH_SOCKET "/run/railnet/health.sock"
#endif
#ifndef RAILNET_EXEC_LOCK
#define RAILNET_EXEC_LOCK "/run/railnet/exec.lock"
#endif
#ifndef RAILNET_BINARY
#define RAILNET_BINARY "/opt/railnet/bin/railnet"
#endif
#ifndef RAILNET_INIT_MOUNTS
#define RAILNET_INIT_MOUNTS "/proc/1/ns/mnt"
#endif

/* The whole of a call, from the start of the shim. */
#ifndef RAILNET_ADD_MS
#define RAILNET_ADD_MS 110000
#endif
#ifndef RAILNET_OTHER_MS
#define RAILNET_OTHER_MS 50000
#endif
/* The whole of a probe: shorter than the kubelet's limit, so that it hears the reason. */
#ifndef RAILNET_PROBE_MS
#define RAILNET_PROBE_MS 4000
#endif
/* How long a refused connection is retried: an agent that restarts or is upgraded. */
#ifndef RAILNET_REFUSED_MS
#define RAILNET_REFUSED_MS 5000
#endif

enum {
  NAME_LIMIT = 255,          /* bytes of the plugin's name, without its NUL */
  ENVIRONMENT_LIMIT = 1 << 20, /* bytes of name and variables with their NULs */
  TRACE_LIMIT = 8192,        /* bytes of the value of a tracing variable: what W3C's baggage may be */
  STDIN_LIMIT = 16 << 20,
  REPLY_LIMIT = 16 << 20,
  RETRY_PAUSE_MS = 20,
  RESET_TRIES = 3, /* connections that may end before the agent has read the request: one for each agent that stops */
};

#endif

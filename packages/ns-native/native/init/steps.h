// SPDX-License-Identifier: MIT
// Every step that can fail, in the order in which it is taken: X(constant, name).
// src/steps.ts is the same list; a test holds the two together. Numbers are positions.
#ifndef CW_STEPS_H
#define CW_STEPS_H

#define CW_STEPS(X)                                                                               \
    /* monitor, in the caller's namespaces */                                                     \
    X(CONFIG, "config")                                                                           \
    X(MONITOR, "monitor")                                                                         \
    X(LOG, "log")                                                                                 \
    X(STDIO, "stdio")                                                                             \
    X(ATTACH, "attach")                                                                           \
    X(JOIN, "join")                                                                               \
    X(NS_JOIN, "ns.join")                                                                         \
    X(LIMITS, "limits")                                                                           \
    X(CGROUP, "cgroup")                                                                           \
    X(CLONE, "clone")                                                                             \
    X(PROCFS, "procfs")                                                                           \
    X(IDMAP_SETGROUPS, "idmap.setgroups")                                                         \
    X(IDMAP_UID, "idmap.uid")                                                                     \
    X(IDMAP_GID, "idmap.gid")                                                                     \
    X(SCHED, "sched")                                                                             \
    X(OOMSCORE, "oomscore")                                                                       \
    X(NET_UPLINK, "net.uplink")                                                                   \
    X(MONITOR_CONFINE, "monitor.confine")                                                         \
    /* init, PID 1 inside */                                                                      \
    X(INIT, "init")                                                                               \
    X(TIME, "time")                                                                               \
    X(SETID, "setid")                                                                             \
    X(DUMPABLE, "dumpable")                                                                       \
    X(PDEATHSIG, "pdeathsig")                                                                     \
    X(KEYRING, "keyring")                                                                         \
    X(USERNS_LIMIT, "userns.limit")                                                               \
    X(CGROUP_NAMESPACE, "cgroup.namespace")                                                        \
    X(HOSTNAME, "hostname")                                                                       \
    X(DOMAINNAME, "domainname")                                                                   \
    X(NET_LO, "net.lo")                                                                           \
    X(NET_LISTEN, "net.listen")                                                                   \
    X(MNT_PROPAGATION, "mnt.propagation")                                                         \
    X(ROOT_OVERLAY, "root.overlay")                                                               \
    X(ROOT_BIND, "root.bind")                                                                     \
    X(ROOT_TMPFS, "root.tmpfs")                                                                   \
    X(ROOT_OPEN, "root.open")                                                                     \
    X(MNT, "mnt")                                                                                 \
    X(MASK, "mask")                                                                               \
    X(RO, "ro")                                                                                   \
    X(PTY, "pty")                                                                                 \
    X(CWD_CREATE, "cwd.create")                                                                   \
    X(ROOT_READONLY, "root.readonly")                                                             \
    X(ROOT_PIVOT, "root.pivot")                                                                   \
    X(FORK, "fork")                                                                               \
    X(ROOT_DETACH, "root.detach")                                                                 \
    /* payload, before it is the program */                                                       \
    X(SESSION, "session")                                                                         \
    X(CTTY, "ctty")                                                                               \
    X(LSM_LABEL, "lsm.label")                                                                     \
    X(CAPS_BOUNDING, "caps.bounding")                                                             \
    X(SETGROUPS, "setgroups")                                                                     \
    X(SETID_FINAL, "setid.final")                                                                 \
    X(CWD, "cwd")                                                                                 \
    X(CAPS_SET, "caps.set")                                                                       \
    X(CAPS_AMBIENT, "caps.ambient")                                                               \
    X(NNP, "nnp")                                                                                 \
    X(RLIMIT, "rlimit")                                                                           \
    X(LANDLOCK, "landlock")                                                                       \
    X(SIGNALS, "signals")                                                                         \
    X(CLOSEFDS, "closefds")                                                                       \
    X(NOTIFY, "notify")                                                                           \
    X(SECCOMP, "seccomp")                                                                         \
    X(EXEC, "exec")

#define CW_STEP_CONSTANT(constant, name) CW_STEP_##constant,
enum cw_step { CW_STEPS(CW_STEP_CONSTANT) CW_STEP_COUNT };

#endif

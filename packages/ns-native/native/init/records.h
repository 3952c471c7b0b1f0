// SPDX-License-Identifier: MIT
// The one protocol between TypeScript and the monitor (src/records.ts mirrors it).
//
//   message = u32 magic, u32 length, records          length counts what follows it
//   record  = u16 type, u16 flags, u32 length, payload, zero padding to a multiple of 4
//
// Little endian. A string ends in one NUL, which its length includes. Flag bit 0 means "must
// understand": an unknown record that carries it is an error, one that does not is skipped.
#ifndef CW_RECORDS_H
#define CW_RECORDS_H

#define CW_MAGIC 0x314d5743 /* "CWM1" */
#define CW_MESSAGE_MAX (16 << 20)
#define CW_FLAG_MUST_UNDERSTAND 1
#define CW_ID_RANGES_MAX 340 /* the kernel's own limit, user_namespaces(7) */

// Node to monitor, first message: the configuration.
#define CW_RECORD_NAMESPACES 1     /* u32 CLONE_NEW* */
#define CW_RECORD_ID_MAP_KIND 2    /* u32 CW_ID_MAP_* */
#define CW_RECORD_UID_RANGE 3      /* u32 inside, outside, size; repeated */
#define CW_RECORD_GID_RANGE 4      /* likewise */
#define CW_RECORD_NEWUIDMAP 5      /* string */
#define CW_RECORD_NEWGIDMAP 6      /* string */
#define CW_RECORD_HOSTNAME 7       /* string */
#define CW_RECORD_ROOT 8           /* string */
#define CW_RECORD_OVERLAY_LOWER 9  /* string, base first; repeated */
#define CW_RECORD_OVERLAY_UPPER 10 /* string */
#define CW_RECORD_OVERLAY_WORK 11  /* string */
#define CW_RECORD_MOUNT 12         /* u32 kind, flags, mode, 0; u64 size; strings source, destination;
                                      for an overlay: upper, work, each lower, base first;
                                      for a file: its bytes; for a symlink the source is its text */
#define CW_RECORD_MASKED 13        /* string; repeated */
#define CW_RECORD_READONLY 14      /* string; repeated */
#define CW_RECORD_ARGUMENT 15      /* string; repeated */
#define CW_RECORD_ENVIRONMENT 16   /* string; repeated */
#define CW_RECORD_CWD 17           /* string */
#define CW_RECORD_PROCESS 18       /* u32 uid, gid, umask, CW_PROCESS_* */
#define CW_RECORD_GROUPS 19        /* u32 each */
#define CW_RECORD_TERMINAL 20      /* u16 columns, rows */
#define CW_RECORD_CAPABILITIES 21  /* u64 bit set */
#define CW_RECORD_SECCOMP 22       /* struct sock_filter each */
#define CW_RECORD_LOG_PATH 23      /* string */
#define CW_RECORD_EXIT_PATH 24     /* string */
#define CW_RECORD_REMOVE 25        /* string; repeated */
#define CW_RECORD_JOIN_NAMESPACE 26 /* u32 CLONE_NEW*, string path; repeated */
#define CW_RECORD_TIME_OFFSET 27   /* u32 clock, nanoseconds; i64 seconds; repeated */
#define CW_RECORD_RLIMIT 28        /* u32 RLIMIT_*, 0; u64 soft, hard; repeated */
#define CW_RECORD_SETTING 29       /* u32 CW_SETTING_*, 0; u64 value; repeated */
#define CW_RECORD_TEXT 30          /* u32 CW_TEXT_*, string; repeated */
#define CW_RECORD_LANDLOCK 31      /* u32 CW_LANDLOCK_*, flags; then, of the ruleset: u64 fs, net, scope
                                      handled, and of these dispensable; of a rule: u64 access, port,
                                      and with a path: string; repeated */
#define CW_RECORD_ROOT_TMPFS 32    /* u64 size, u32 mode, 0 */
#define CW_RECORD_CHANNEL 44       /* nothing: descriptor 4 is the descriptor channel */
#define CW_RECORD_LISTEN 45        /* endpoint; repeated */
#define CW_RECORD_UPLINK 46        /* string; repeated: a program and its arguments, %p for init's pid */
#define CW_RECORD_NOTIFY 50        /* u32 CW_NOTIFY_*, milliseconds that Node has for an answer */
#define CW_RECORD_JOIN 55          /* u32 pid, parent or 0; u64 start time or 0: no container, but a
                                      further program in that one */
#define CW_RECORD_ATTACH_PATH 56   /* string */
#define CW_RECORD_EXTRA 57         /* u32 number inside of the next descriptor from 5 on; repeated */
#define CW_RECORD_CGROUP 38        /* u32 CW_GROUP_*, CW_ROLE_*; strings path, then file and value each:
                                      a ? before the file: unless the kernel lacks it; repeated */
#define CW_RECORD_LIMITS 39        /* struct cw_limits of config.h */
#define CW_CONFIG_RECORDS 64       /* all of them are below this */

// Node to monitor, afterwards.
#define CW_RECORD_SIGNAL 64 /* u32 number */
#define CW_RECORD_RESIZE 65 /* u16 columns, rows */
#define CW_RECORD_DETACH 66 /* nothing: survive the end of this connection */
#define CW_RECORD_OPEN_LISTENER 72   /* u32 id, endpoint */
#define CW_RECORD_OPEN_CONNECTION 73 /* u32 id, endpoint */
#define CW_RECORD_GIVE_UP 74         /* u32 id of a connection that is not there yet */
#define CW_RECORD_SYSCALL_ANSWER 77  /* u64 id, i64 value, i32 errno or 0, u32 1 to let it go on */

#define CW_RECORD_ASK_USAGE 67 /* u32 token that the answer will carry */
#define CW_RECORD_FREEZE 68    /* u32 1 freeze, 0 thaw */

// Monitor to Node.
#define CW_RECORD_STARTED 96 /* u32 pid of init as the monitor sees it */
#define CW_RECORD_FAULT 97   /* u32 step, index, errno; strings call, detail */
#define CW_RECORD_EXITED 98  /* i32 code or -1, i32 signal or 0, u64 user us, system us, RSS bytes */
#define CW_RECORD_DESCRIPTOR 104 /* u32 CW_DESCRIPTOR_*, id, port, errno: one waits on the channel when errno is 0 */
#define CW_RECORD_SYSCALL 109    /* u64 id, u32 pid, u32 AUDIT_ARCH_*, i32 number, 0, 6 u64 registers */
#define CW_RECORD_ATTACHED 114 /* u32 pid of init, of the monitor; u64 start time of init */

// endpoint = u16 4 or 6 for the version of IP, u16 port, 16 bytes of address, the unused ones zero

#define CW_DESCRIPTOR_LISTENER 0 /* id: which of the configuration */
#define CW_DESCRIPTOR_ANSWER 1   /* id: of the request */

#define CW_NOTIFY_NODE 1
#define CW_NOTIFY_EMULATE_ROOT 2
#define CW_RECORD_USAGE 99     /* u32 token, or 0 at the end; u32 CW_REASON_* at the end; u64 wall us;
                                  u64 of each CW_FIGURE_*, u8 CW_SOURCE_* of each, padding to 8 */
#define CW_RECORD_LIMIT 100    /* u32 CW_REASON_*: a limit was met */
#define CW_RECORD_FROZEN 101   /* u32 1 frozen, 0 runs; u32 errno */
#define CW_RECORD_MIGRATED 102 /* nothing: the program was not born into its group, but moved */

// How a control group is used.
#define CW_GROUP_MAKE 1   /* and removed at the end */
#define CW_GROUP_INTO 2   /* version 2: init is cloned into it */
#define CW_GROUP_ATTACH 4 /* version 1: init is put into it */
#define CW_GROUP_SWEEP 8  /* what dead monitors left beside it is removed */
#define CW_GROUP_KEEP 16  /* not removed at the end: the monitor itself is in it */
// What it is asked for.
#define CW_ROLE_V1 1
#define CW_ROLE_MEMORY 2
#define CW_ROLE_CPU 4
#define CW_ROLE_PIDS 8
#define CW_ROLE_IO 16
#define CW_ROLE_KILL 32
#define CW_ROLE_FREEZE 64
#define CW_ROLE_OOM 128    /* version 1 counts kills where the processes are, not where the limit is */
#define CW_ROLE_DENIED 256 /* likewise forks */

#define CW_FIGURE_MEMORY_PEAK 0 /* bytes */
#define CW_FIGURE_MEMORY_NOW 1
#define CW_FIGURE_OOM_KILLS 2
#define CW_FIGURE_PIDS_PEAK 3 /* threads */
#define CW_FIGURE_PIDS_NOW 4
#define CW_FIGURE_PIDS_DENIED 5
#define CW_FIGURE_CPU_USER 6 /* microseconds */
#define CW_FIGURE_CPU_SYSTEM 7
#define CW_FIGURE_IO_READ 8 /* bytes */
#define CW_FIGURE_IO_WRITE 9
#define CW_FIGURE_OUTPUT 10
#define CW_FIGURES 11
#define CW_SOURCE_CGROUP2 1
#define CW_SOURCE_CGROUP1 2
#define CW_SOURCE_RUSAGE 3
#define CW_SOURCE_SAMPLED 4
#define CW_SOURCE_MONITOR 5

#define CW_REASON_EXIT 1
#define CW_REASON_SIGNAL 2
#define CW_REASON_WALL 3
#define CW_REASON_CPU 4
#define CW_REASON_MEMORY 5
#define CW_REASON_PIDS 6
#define CW_REASON_OUTPUT 7
#define CW_REASON_SECCOMP 8
#define CW_REASON_PARENT_GONE 9

#define CW_RUNS 0
#define CW_FREEZES 1
#define CW_FROZEN 2
#define CW_THAWS 3

#define CW_ID_MAP_IDENTITY 0
#define CW_ID_MAP_SUBID 1
#define CW_ID_MAP_SINGLE 2

#define CW_SETTING_OOM_SCORE_ADJ 1       /* i64 */
#define CW_SETTING_NICE 2                /* i64 */
#define CW_SETTING_IO_PRIORITY 3         /* as ioprio_set(2) takes it */
#define CW_SETTING_CPU 4                 /* one number; repeated */
#define CW_SETTING_MAX_USER_NAMESPACES 5 /* below init's own */
#define CW_SETTING_AMBIENT 6             /* bit set of capabilities */
#define CW_SETTING_CALLERS_KEYRING 7     /* value 0: no session keyring of its own */
#define CW_SETTING_LAST 7

#define CW_TEXT_DOMAINNAME 1
#define CW_TEXT_APPARMOR 2
#define CW_TEXT_SELINUX 3

#define CW_LANDLOCK_HANDLED 0
#define CW_LANDLOCK_PATH 1
#define CW_LANDLOCK_PORT 2
#define CW_LANDLOCK_MAY_BE_MISSING 1 /* flag of a path */

#define CW_MOUNT_BIND 0
#define CW_MOUNT_TMPFS 1
#define CW_MOUNT_PROC 2
#define CW_MOUNT_SYSFS 3
#define CW_MOUNT_MQUEUE 4
#define CW_MOUNT_CGROUP 5
#define CW_MOUNT_DEV 6
#define CW_MOUNT_OVERLAY 7
#define CW_MOUNT_FILE 8
#define CW_MOUNT_DEVPTS 9
#define CW_MOUNT_SYMLINK 10

#define CW_MOUNT_FLAG_READONLY 1
#define CW_MOUNT_FLAG_NOSUID 2
#define CW_MOUNT_FLAG_NODEV 4
#define CW_MOUNT_FLAG_NOEXEC 8
#define CW_MOUNT_FLAG_VOLATILE 16 /* overlay */
#define CW_MOUNT_FLAG_TOP_ONLY 32 /* bind: not what is mounted below */
#define CW_MOUNT_MODE_DEFAULT 0xffffffff

#define CW_PROCESS_NO_NEW_PRIVILEGES 1
#define CW_PROCESS_DETACHED 2
#define CW_PROCESS_ROOT_READONLY 4
#define CW_PROCESS_OVERLAY_VOLATILE 8

#endif

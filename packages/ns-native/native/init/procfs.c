// SPDX-License-Identifier: MIT
#include "procfs.h"

#include "sys.h"

#include <linux/nsfs.h>

#define CW_PROC_ROOT_INODE 1 /* PROC_ROOT_INO of linux/proc_fs.h */

// A procfs, and its top: a directory of it could be mounted on /proc just as well.
static long check_root(int proc) {
    struct statfs status;
    struct statx root;
    long error = sys_fstatfs(proc, &status);
    if (error == 0 && (unsigned long)status.f_type != PROC_SUPER_MAGIC) error = -ENODEV;
    if (error == 0) error = sys_statx(proc, "", AT_EMPTY_PATH, &root);
    return error == 0 && root.stx_ino != CW_PROC_ROOT_INODE ? -ENODEV : error;
}

// In the procfs of another pid namespace the numbers we know mean other processes, or none.
static long check_numbers(int proc) {
    char number[16];
    char self[16] = "";
    struct cw_text text = CW_TEXT(number);
    cw_text_add_number(&text, (uint64_t)sys_getpid(), 1);
    long size = sys_readlinkat(proc, "self", self, sizeof self - 1);
    if (size < 0) return size == -ENOENT ? -ENODEV : size;
    return cw_same(number, self) ? 0 : -ENODEV;
}

static int open_checked(bool by_number, struct cw_fault *fault) {
    int proc = (int)CW_TRY(fault, "open",
                           sys_openat(AT_FDCWD, "/proc", O_PATH | O_DIRECTORY | O_CLOEXEC, 0));
    long error = check_root(proc);
    if (error == 0 && by_number) error = check_numbers(proc);
    if (error == 0) return proc;
    sys_close(proc);
    return cw_fail(fault, "fstatfs", error);
}

int cw_proc_open(struct cw_fault *fault) {
    cw_at(fault, CW_STEP_PROCFS, CW_NO_INDEX);
    return open_checked(true, fault);
}

int cw_proc_fresh(struct cw_fault *fault) {
    CW_AUTO_FD context = (int)sys_fsopen("proc");
    cw_at(fault, CW_STEP_PROCFS, CW_NO_INDEX);
    if (context >= 0 && sys_fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL) == 0) {
        int proc = (int)sys_fsmount(context, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
        if (proc >= 0) return proc;
    }
    // No mount or pid namespace of our own, or a masked /proc: what remains is the one in sight.
    return open_checked(false, fault);
}

int cw_proc_open_file(int proc, const char *path, int flags) {
    return (int)sys_openat2(proc, path, (uint64_t)(flags | O_CLOEXEC),
                            RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS);
}

static void name_of(struct cw_text *text, int pid, const char *name) {
    if (pid == 0) cw_text_add(text, "self");
    if (pid != 0) cw_text_add_number(text, (uint64_t)pid, 1);
    cw_text_add(text, "/");
    cw_text_add(text, name);
}

int cw_proc_open_of(int proc, int pid, const char *name, int flags) {
    char path[64];
    struct cw_text text = CW_TEXT(path);
    name_of(&text, pid, name);
    return cw_proc_open_file(proc, path, flags);
}

int cw_namespace_check(int fd, uint32_t type) {
    struct statfs status;
    long error = sys_fstatfs(fd, &status);
    if (error < 0) return (int)error;
    if ((unsigned long)status.f_type != NSFS_MAGIC) return -ENOTTY;
    long found = sys_ioctl(fd, NS_GET_NSTYPE, NULL);
    if (found < 0) return (int)found;
    return (uint32_t)found == type ? 0 : -EINVAL;
}

int cw_proc_open_namespace(int proc, int pid, const char *name, uint32_t type) {
    CW_AUTO_FD directory = cw_proc_open_of(proc, pid, "ns", O_PATH | O_DIRECTORY);
    if (directory < 0) return directory;
    int fd = (int)sys_openat(directory, name, O_RDONLY | O_CLOEXEC, 0);
    int error = fd < 0 ? fd : cw_namespace_check(fd, type);
    if (error == 0) return fd;
    if (fd >= 0) sys_close(fd);
    return error;
}

int cw_proc_write(int proc, int pid, const char *name, const struct cw_text *content,
                  struct cw_fault *fault) {
    if (content->full) return cw_fail(fault, "write", -E2BIG);
    CW_AUTO_FD file = (int)CW_TRY(fault, "open", cw_proc_open_of(proc, pid, name, O_WRONLY));
    CW_TRY(fault, "write", sys_write(file, content->start, content->used));
    return 0;
}

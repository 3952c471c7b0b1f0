// SPDX-License-Identifier: MIT
#include "root.h"

#include "sys.h"
#include "target.h"

// mount(2) takes one page of options.
#define CW_OPTIONS_MAX 4096
#define CW_LOWER_MAX 500 /* OVL_MAX_STACK */
#define CW_ATTEMPTS_AT_ONCE 1000

static int add_layer(struct cw_text *options, const char *key, const char *path, int *opened,
                     struct cw_fault *fault) {
    int fd = (int)CW_TRY(fault, "open",
                         sys_openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0));
    *opened = fd;
    cw_text_add(options, key);
    cw_text_add_number(options, (uint64_t)fd, 1);
    return 0;
}

// Layers are named by descriptor numbers below /proc/self/fd: short enough for hundreds of them,
// no characters to escape, and no host path in the container's /proc/self/mountinfo.
static int mount_overlay(const struct cw_config *config, struct cw_fault *fault) {
    char buffer[CW_OPTIONS_MAX];
    int opened[CW_LOWER_MAX + 2];
    unsigned count = 0;
    struct cw_text options = CW_TEXT(buffer);

    cw_at(fault, CW_STEP_ROOT_OVERLAY, CW_NO_INDEX);
    if (config->lower.count > CW_LOWER_MAX) return cw_fail(fault, "mount", -E2BIG);
    cw_text_add(&options, "userxattr");
    if (config->process_flags & CW_PROCESS_OVERLAY_VOLATILE) cw_text_add(&options, ",volatile");
    for (uint32_t i = config->lower.count; i > 0; i--) {
        const char *key = i == config->lower.count ? ",lowerdir=" : ":";
        cw_at(fault, CW_STEP_ROOT_OVERLAY, i - 1);
        int error = add_layer(&options, key, config->lower.items[i - 1], &opened[count++], fault);
        if (error < 0) return error;
    }
    cw_at(fault, CW_STEP_ROOT_OVERLAY, config->lower.count);
    int error = add_layer(&options, ",upperdir=", config->upper, &opened[count++], fault);
    if (error < 0) return error;
    cw_at(fault, CW_STEP_ROOT_OVERLAY, config->lower.count + 1);
    error = add_layer(&options, ",workdir=", config->work, &opened[count++], fault);
    if (error < 0) return error;

    cw_at(fault, CW_STEP_ROOT_OVERLAY, CW_NO_INDEX);
    if (options.full) return cw_fail(fault, "mount", -E2BIG);
    CW_TRY(fault, "chdir", sys_chdir("/proc/self/fd"));
    CW_TRY(fault, "mount", sys_mount("overlay", config->root, "overlay", 0, buffer));
    CW_TRY(fault, "chdir", sys_chdir("/"));
    while (count > 0) sys_close(opened[--count]);
    return 0;
}

static int open_root(const char *path, struct cw_fault *fault) {
    cw_at(fault, CW_STEP_ROOT_OPEN, CW_NO_INDEX);
    return (int)CW_TRY(fault, "open",
                       sys_openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0));
}

// pivot_root wants a mount point: the directory becomes one on top of the old root.
static int bind_directory(const struct cw_config *config, struct cw_mounted *mounted,
                          struct cw_fault *fault) {
    cw_at(fault, CW_STEP_ROOT_BIND, CW_NO_INDEX);
    int tree = (int)CW_TRY(fault, "open_tree",
                           cw_bind_open(mounted, AT_FDCWD, config->root, AT_RECURSIVE));
    int error = cw_bind_attach(mounted, &tree, AT_RECURSIVE, 0, CW_PLACE_OLD_ROOT, fault);
    if (error == 0) return tree;
    sys_close(tree);
    return error;
}

static int mount_tmpfs(const struct cw_config *config, struct cw_mounted *mounted,
                       struct cw_fault *fault) {
    cw_at(fault, CW_STEP_ROOT_TMPFS, CW_NO_INDEX);
    return cw_mount_tmpfs(mounted, config->root_size, config->root_mode, MOUNT_ATTR_NODEV,
                          CW_PLACE_OLD_ROOT, fault);
}

static int mount_root(const struct cw_config *config, struct cw_mounted *mounted,
                      struct cw_fault *fault) {
    if (config->root_tmpfs) return mount_tmpfs(config, mounted, fault);
    if (config->root == NULL) return open_root("/", fault);
    if (config->lower.count == 0) return bind_directory(config, mounted, fault);
    int error = mount_overlay(config, fault);
    return error < 0 ? error : open_root(config->root, fault);
}

int cw_root_mount(const struct cw_config *config, struct cw_mounted *mounted,
                  struct cw_fault *fault) {
    mounted->root = mount_root(config, mounted, fault);
    if (mounted->root < 0) return mounted->root;
    // Device nodes of an image never work: the container's devices are those of its own /dev.
    if (config->root == NULL) return 0;
    cw_at(fault, CW_STEP_ROOT_OPEN, CW_NO_INDEX);
    return cw_mount_restrict(mounted, mounted->root, MOUNT_ATTR_NODEV, fault);
}

static bool has_root(const struct cw_config *config) {
    return config->root != NULL || config->root_tmpfs;
}

int cw_root_make_cwd(const struct cw_config *config, int root, struct cw_fault *fault) {
    if (!has_root(config) || cw_same(config->cwd, "/")) return 0;
    cw_at(fault, CW_STEP_CWD_CREATE, CW_NO_INDEX);
    int fd = cw_target_make(root, config->cwd, CW_TARGET_DIRECTORY, false);
    if (fd < 0) return cw_fail(fault, "openat2", fd);
    sys_close(fd);
    return 0;
}

static int leave_stage(const struct cw_mounted *mounted, struct cw_fault *fault) {
    if (!mounted->attached) return 0;
    CW_TRY(fault, "fchdir", sys_fchdir(mounted->stage));
    CW_TRY(fault, "umount2", sys_umount2(".", CW_MNT_DETACH));
    CW_TRY(fault, "chdir", sys_chdir("/"));
    return 0;
}

// Of the mount on top of `path`, and 1, so that it is never 0. 0 where the kernel does not tell (5.8).
static uint64_t mount_id(const struct statx *status) {
    return status->stx_mask & STATX_MNT_ID ? status->stx_mnt_id + 1 : 0;
}

// Both the stage, which lies on top of it, and the old root.
static int detach_both(struct cw_fault *fault) {
    CW_TRY(fault, "umount2", sys_umount2(".", CW_MNT_DETACH));
    CW_TRY(fault, "umount2", sys_umount2(".", CW_MNT_DETACH));
    return 0;
}

int cw_root_enter(const struct cw_config *config, const struct cw_mounted *mounted, uint64_t *old,
                  struct cw_fault *fault) {
    struct statx status;
    cw_at(fault, CW_STEP_ROOT_READONLY, CW_NO_INDEX);
    if (has_root(config) && config->process_flags & CW_PROCESS_ROOT_READONLY) {
        int error = cw_mount_restrict(mounted, mounted->root, MOUNT_ATTR_RDONLY, fault);
        if (error < 0) return error;
    }
    cw_at(fault, CW_STEP_ROOT_PIVOT, CW_NO_INDEX);
    if (!has_root(config)) return leave_stage(mounted, fault);
    CW_TRY(fault, "statx", sys_statx(AT_FDCWD, "/", 0, &status));
    CW_TRY(fault, "fchdir", sys_fchdir(mounted->root));
    // Both names the same: the old root ends up on top of the new one, pivot_root(2).
    CW_TRY(fault, "pivot_root", sys_pivot_root(".", "."));
    if (mounted->attached) return detach_both(fault);
    *old = mount_id(&status);
    return *old == 0 ? cw_root_detach(1, fault) : 0;
}

int cw_root_detach(uint64_t old, struct cw_fault *fault) {
    if (old == 0) return 0;
    cw_at(fault, CW_STEP_ROOT_DETACH, CW_NO_INDEX);
    CW_TRY(fault, "umount2", sys_umount2(".", CW_MNT_DETACH));
    return 0;
}

int cw_root_wait(uint64_t old, int lifeline, struct cw_fault *fault) {
    struct pollfd poll = {.fd = lifeline};
    struct statx status;
    if (old == 0) return 0;
    cw_at(fault, CW_STEP_ROOT_DETACH, CW_NO_INDEX);
    for (int attempt = 0;; attempt++) {
        // From the root upwards is to what lies on top of it.
        CW_TRY(fault, "statx", sys_statx(AT_FDCWD, "/..", 0, &status));
        if (mount_id(&status) != old) return 0;
        if (sys_poll(&poll, 1, attempt < CW_ATTEMPTS_AT_ONCE ? 0 : 1) > 0)
            return cw_fail(fault, "poll", -ESRCH);
    }
}

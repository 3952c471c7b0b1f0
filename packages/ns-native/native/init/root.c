// SPDX-License-Identifier: MIT
#include "root.h"

#include "sys.h"
#include "target.h"

// mount(2) takes one page of options.
#define CW_OPTIONS_MAX 4096
#define CW_LOWER_MAX 500 /* OVL_MAX_STACK */

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

// pivot_root wants a mount point.
static int bind_onto_itself(const struct cw_config *config, struct cw_fault *fault) {
    cw_at(fault, CW_STEP_ROOT_BIND, CW_NO_INDEX);
    CW_AUTO_FD directory = (int)CW_TRY(
        fault, "open", sys_openat(AT_FDCWD, config->root, O_PATH | O_DIRECTORY | O_CLOEXEC, 0));
    CW_AUTO_FD tree = (int)CW_TRY(
        fault, "open_tree",
        sys_open_tree(directory, "",
                      AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
    CW_TRY(fault, "move_mount", sys_move_mount(tree, directory));
    return 0;
}

int cw_root_mount(const struct cw_config *config, struct cw_fault *fault) {
    if (config->root != NULL) {
        int error = config->lower.count > 0 ? mount_overlay(config, fault)
                                            : bind_onto_itself(config, fault);
        if (error < 0) return error;
    }
    const char *path = config->root != NULL ? config->root : "/";
    cw_at(fault, CW_STEP_ROOT_OPEN, CW_NO_INDEX);
    int root =
        (int)CW_TRY(fault, "open", sys_openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0));
    // Device nodes of an image never work: the container's devices are those of its own /dev.
    if (config->root != NULL) {
        long error = sys_mount_setattr(root, 0, MOUNT_ATTR_NODEV);
        if (error < 0) return cw_fail(fault, "mount_setattr", error);
    }
    return root;
}

int cw_root_make_cwd(const struct cw_config *config, int root, struct cw_fault *fault) {
    if (config->root == NULL) return 0;
    cw_at(fault, CW_STEP_CWD_CREATE, CW_NO_INDEX);
    int fd = cw_target_make(root, config->cwd, CW_TARGET_DIRECTORY, false);
    if (fd < 0) return cw_fail(fault, "openat2", fd);
    sys_close(fd);
    return 0;
}

int cw_root_enter(const struct cw_config *config, int root, struct cw_fault *fault) {
    if (config->root == NULL) return 0;
    cw_at(fault, CW_STEP_ROOT_READONLY, CW_NO_INDEX);
    if (config->process_flags & CW_PROCESS_ROOT_READONLY)
        CW_TRY(fault, "mount_setattr", sys_mount_setattr(root, 0, MOUNT_ATTR_RDONLY));
    cw_at(fault, CW_STEP_ROOT_PIVOT, CW_NO_INDEX);
    CW_TRY(fault, "fchdir", sys_fchdir(root));
    // Both names the same: the old root ends up on top of the new one, pivot_root(2).
    CW_TRY(fault, "pivot_root", sys_pivot_root(".", "."));
    CW_TRY(fault, "umount2", sys_umount2(".", CW_MNT_DETACH));
    CW_TRY(fault, "chdir", sys_chdir("/"));
    return 0;
}

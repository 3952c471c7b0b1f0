// SPDX-License-Identifier: MIT
// The stage: a tmpfs that lies where no path leads. What a file mount shows is kept there, and where
// mounts cannot be made without a place to mount them on, they are made there.
#include "mounts.h"
#include "sys.h"

#define CW_STAGE_ATTRIBUTES (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)

int cw_stage_open(struct cw_mounted *mounted, struct cw_fault *fault) {
    static const struct cw_option options[] = {{"mode", "700"}, {0}};
    static const struct cw_place nowhere = {.directory = -1, .name = NULL};
    cw_at(fault, CW_STEP_MNT, CW_NO_INDEX);
    mounted->stage = cw_mount_fresh(mounted, "tmpfs", options, CW_STAGE_ATTRIBUTES, nowhere, fault);
    if (mounted->stage < 0) return mounted->stage;
    // A mount that is attached nowhere can be cloned since Linux 6.15.
    CW_AUTO_FD clone = cw_bind_open(mounted, mounted->stage, "", 0);
    if (clone >= 0) return 0;
    CW_TRY(fault, "move_mount", sys_move_mount(mounted->stage, AT_FDCWD, "/", 0));
    mounted->attached = true;
    return 0;
}

static int write_all(int fd, const uint8_t *bytes, size_t size, struct cw_fault *fault) {
    while (size > 0) {
        size_t written = (size_t)CW_TRY(fault, "write", sys_write(fd, bytes, size));
        bytes += written;
        size -= written;
    }
    return 0;
}

int cw_stage_file(struct cw_mounted *mounted, const struct cw_mount *mount,
                  struct cw_fault *fault) {
    char name[16];
    struct cw_text text = CW_TEXT(name);
    cw_text_add(&text, "cw.");
    cw_text_add_number(&text, mounted->staged++, 1);
    CW_AUTO_FD file = (int)CW_TRY(fault, "open",
                                  sys_openat(mounted->stage, name,
                                             O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    int error = write_all(file, mount->content, mount->content_size, fault);
    if (error < 0) return error;
    CW_TRY(fault, "fchmod", sys_fchmod(file, mount->mode));
    return (int)CW_TRY(fault, "open_tree",
                       cw_bind_open(mounted, mounted->stage, name, AT_SYMLINK_NOFOLLOW));
}

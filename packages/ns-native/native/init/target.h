// SPDX-License-Identifier: MIT
// Places inside the new root, found and made without ever leaving it.
#ifndef CW_TARGET_H
#define CW_TARGET_H

#include <stdbool.h>

// O_PATH descriptor of a path inside `root`; symbolic links are followed as the container would
// see them, magic links never. -errno when it cannot be.
int cw_target_find(int root, const char *path);

enum cw_target_kind { CW_TARGET_DIRECTORY, CW_TARGET_FILE };

// Like cw_target_find, but makes what is missing. With `no_symlinks` a symbolic link anywhere in
// the path is -ELOOP.
int cw_target_make(int root, const char *path, enum cw_target_kind kind, bool no_symlinks);

// A symbolic link at `path` that says `text`, in directories made as above. One that says so already
// is fine, anything else in its place is -EEXIST.
int cw_target_link(int root, const char *path, const char *text, bool no_symlinks);

#endif

// SPDX-License-Identifier: MIT
#ifndef CW_REMOVE_TREE_H
#define CW_REMOVE_TREE_H

// Remove a file or a directory with all below it; never follows a link, never crosses into another
// mount, however deep it goes and whatever its modes. A missing one is fine. 0 or -errno.
int cw_remove_tree(const char *path);

#endif

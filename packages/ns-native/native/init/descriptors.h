// SPDX-License-Identifier: MIT
#ifndef CW_DESCRIPTORS_H
#define CW_DESCRIPTORS_H

// Close every descriptor but 0-2 and those in `keep` (which gets sorted; -1 entries are skipped).
int cw_close_others(int *keep, unsigned count);

// Open /dev/null in place of each of 0-2 that is closed, so that nothing else can end up there.
int cw_fill_stdio(void);

// Make `fd` /dev/null.
int cw_point_at_null(int fd);

int cw_set_nonblocking(int fd, int on);

// The directory that a path leads to the last component of.
int cw_open_parent(const char *path);

#endif

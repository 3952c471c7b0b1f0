// SPDX-License-Identifier: MIT
// A minimal /dev: never what the image brings, nothing of the host but six harmless devices.
#include "mounts.h"
#include "sys.h"

static const struct device {
    const char *path;
    unsigned major;
    unsigned minor;
} devices[] = {
    {"/dev/null", 1, 3}, {"/dev/zero", 1, 5},   {"/dev/full", 1, 7},
    {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0},
};

static const struct link {
    const char *name;
    const char *text;
} links[] = {
    {"fd", "/proc/self/fd"},       {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
    {"stderr", "/proc/self/fd/2"}, {"ptmx", "pts/ptmx"},         {"core", "/proc/kcore"},
};

#define CW_DEV_ATTRIBUTES (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC)

// The names are safe to use: nobody else can see this tmpfs yet.
static int bind_device(struct cw_mounted *mounted, int dev, const struct device *device,
                       struct cw_fault *fault) {
    struct cw_place place = {.directory = dev, .name = cw_last_component(device->path)};
    CW_AUTO_FD source =
        (int)CW_TRY(fault, "open_tree",
                    cw_bind_open(mounted, AT_FDCWD, device->path, AT_SYMLINK_NOFOLLOW));
    int error = cw_device_check(source, device->major, device->minor, fault);
    if (error < 0) return error;
    CW_TRY(fault, "mknodat", sys_mknodat(dev, place.name, S_IFREG | 0666));
    return cw_bind_attach(mounted, &source, 0, 0, place, fault);
}

static bool is_mapped(const struct cw_id_map *map, uint32_t id) {
    for (uint32_t i = 0; i < map->count; i++)
        if (id - map->ranges[i].inside < map->ranges[i].size) return true;
    return map->count == 0; // no user namespace of its own
}

int cw_mount_pts(const struct cw_config *config, struct cw_mounted *mounted, unsigned attributes,
                 struct cw_place place, struct cw_fault *fault) {
    static const struct cw_option options[] = {
        {"gid", "5"}, {"ptmxmode", "0666"}, {"mode", "0620"}, {0}};
    attributes |= CW_DEV_ATTRIBUTES;
    // The group tty, where there is one in this user namespace; EINVAL: not in one further up.
    int mount = -EINVAL;
    if (is_mapped(&config->gids, 5))
        mount = cw_mount_fresh(mounted, "devpts", options, attributes, place, fault);
    if (mount != -EINVAL) return mount;
    return cw_mount_fresh(mounted, "devpts", options + 1, attributes, place, fault);
}

static int add_pts(const struct cw_config *config, struct cw_mounted *mounted, int dev,
                   struct cw_fault *fault) {
    struct cw_place place = {.directory = dev, .name = "pts"};
    CW_TRY(fault, "mkdirat", sys_mkdirat(dev, place.name, 0755));
    mounted->pts = cw_mount_pts(config, mounted, 0, place, fault);
    return mounted->pts < 0 ? mounted->pts : 0;
}

static int add_shm(struct cw_mounted *mounted, int dev, uint64_t size, struct cw_fault *fault) {
    struct cw_place place = {.directory = dev, .name = "shm"};
    CW_TRY(fault, "mkdirat", sys_mkdirat(dev, place.name, 0755));
    CW_AUTO_FD mount =
        cw_mount_tmpfs(mounted, size != 0 ? size : 65536 * 1024, 01777,
                       CW_DEV_ATTRIBUTES | MOUNT_ATTR_NODEV, place, fault);
    return mount < 0 ? mount : 0;
}

static int add_mqueue(struct cw_mounted *mounted, int dev, struct cw_fault *fault) {
    struct cw_place place = {.directory = dev, .name = "mqueue"};
    CW_TRY(fault, "mkdirat", sys_mkdirat(dev, place.name, 0755));
    CW_AUTO_FD mount = cw_mount_fresh(mounted, "mqueue", NULL, CW_DEV_ATTRIBUTES | MOUNT_ATTR_NODEV,
                                      place, fault);
    return mount < 0 ? mount : 0;
}

static int fill(const struct cw_config *config, const struct cw_mount *mount, int dev,
                struct cw_mounted *mounted, struct cw_fault *fault) {
    for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++) {
        int error = bind_device(mounted, dev, &devices[i], fault);
        if (error < 0) return error;
    }
    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++)
        CW_TRY(fault, "symlinkat", sys_symlinkat(links[i].text, dev, links[i].name));
    int error = add_pts(config, mounted, dev, fault);
    if (error == 0) error = add_shm(mounted, dev, mount->size, fault);
    if (error == 0 && config->namespaces & CLONE_NEWIPC) error = add_mqueue(mounted, dev, fault);
    return error;
}

int cw_mount_dev(const struct cw_config *config, const struct cw_mount *mount, int target,
                 struct cw_mounted *mounted, struct cw_fault *fault) {
    static const struct cw_option options[] = {{"mode", "755"}, {"size", "65536k"}, {0}};
    struct cw_place place = {.directory = target, .name = ""};
    unsigned old_mask = (unsigned)sys_umask(0);
    CW_AUTO_FD dev = cw_mount_fresh(mounted, "tmpfs", options,
                                    CW_DEV_ATTRIBUTES | MOUNT_ATTR_STRICTATIME, place, fault);
    int error = dev < 0 ? dev : fill(config, mount, dev, mounted, fault);
    sys_umask(old_mask);
    return error;
}

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

static int bind_device(int dev, const struct device *device, struct cw_fault *fault) {
    const char *name = cw_last_component(device->path);
    CW_AUTO_FD source = cw_device_open(device->path, device->major, device->minor, fault);
    if (source < 0) return source;
    CW_TRY(fault, "mknodat", sys_mknodat(dev, name, S_IFREG | 0666));
    CW_AUTO_FD target = (int)CW_TRY(
        fault, "open", sys_openat(dev, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0));
    return cw_mount_bind(source, target, 0, 0, fault);
}

static int make_directory(int dev, const char *name, struct cw_fault *fault) {
    CW_TRY(fault, "mkdirat", sys_mkdirat(dev, name, 0755));
    return (int)CW_TRY(fault, "open",
                       sys_openat(dev, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0));
}

static int mount_pts(int dev, struct cw_fault *fault) {
    static const struct cw_option with_tty_group[] = {
        {"ptmxmode", "0666"}, {"mode", "0620"}, {"gid", "5"}, {0}};
    static const struct cw_option without_group[] = {
        {"ptmxmode", "0666"}, {"mode", "0620"}, {0}};
    CW_AUTO_FD target = make_directory(dev, "pts", fault);
    if (target < 0) return target;
    int mount = cw_mount_fresh("devpts", with_tty_group, CW_DEV_ATTRIBUTES, target, fault);
    // EINVAL: group 5 is not mapped in this user namespace.
    if (mount == -EINVAL)
        mount = cw_mount_fresh("devpts", without_group, CW_DEV_ATTRIBUTES, target, fault);
    return mount;
}

static int mount_shm(int dev, uint64_t size, struct cw_fault *fault) {
    char digits[24];
    struct cw_text text = CW_TEXT(digits);
    cw_text_add_number(&text, size != 0 ? size : 65536 * 1024, 1);
    const struct cw_option options[] = {{"mode", "1777"}, {"size", digits}, {0}};
    CW_AUTO_FD target = make_directory(dev, "shm", fault);
    if (target < 0) return target;
    CW_AUTO_FD mount =
        cw_mount_fresh("tmpfs", options, CW_DEV_ATTRIBUTES | MOUNT_ATTR_NODEV, target, fault);
    return mount < 0 ? mount : 0;
}

static int mount_mqueue(int dev, struct cw_fault *fault) {
    CW_AUTO_FD target = make_directory(dev, "mqueue", fault);
    if (target < 0) return target;
    CW_AUTO_FD mount =
        cw_mount_fresh("mqueue", NULL, CW_DEV_ATTRIBUTES | MOUNT_ATTR_NODEV, target, fault);
    return mount < 0 ? mount : 0;
}

static int fill(const struct cw_config *config, const struct cw_mount *mount, int dev,
                struct cw_mounted *mounted, struct cw_fault *fault) {
    for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++) {
        int error = bind_device(dev, &devices[i], fault);
        if (error < 0) return error;
    }
    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++)
        CW_TRY(fault, "symlinkat", sys_symlinkat(links[i].text, dev, links[i].name));
    mounted->pts = mount_pts(dev, fault);
    if (mounted->pts < 0) return mounted->pts;
    int error = mount_shm(dev, mount->size, fault);
    if (error == 0 && config->namespaces & CLONE_NEWIPC) error = mount_mqueue(dev, fault);
    return error;
}

int cw_mount_dev(const struct cw_config *config, const struct cw_mount *mount, int target,
                 struct cw_mounted *mounted, struct cw_fault *fault) {
    static const struct cw_option options[] = {{"mode", "755"}, {"size", "65536k"}, {0}};
    unsigned old_mask = (unsigned)sys_umask(0);
    CW_AUTO_FD dev =
        cw_mount_fresh("tmpfs", options, CW_DEV_ATTRIBUTES | MOUNT_ATTR_STRICTATIME, target, fault);
    int error = dev < 0 ? dev : fill(config, mount, dev, mounted, fault);
    sys_umask(old_mask);
    return error;
}

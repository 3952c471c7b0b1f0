// SPDX-License-Identifier: MIT
#include "caps.h"

#include "sys.h"

int cw_caps_bound(uint64_t kept, bool harmless, struct cw_fault *fault) {
    for (unsigned long capability = 0; capability < 64; capability++) {
        if (kept >> capability & 1) continue;
        long error = sys_prctl(PR_CAPBSET_DROP, capability, 0);
        if (error == -EINVAL) break; // past the last one this kernel knows
        if (error == -EPERM && harmless) return 0;
        if (error < 0 && sys_prctl(PR_CAPBSET_READ, capability, 0) != 0)
            return cw_fail(fault, "prctl", error);
    }
    return 0;
}

static int raise_ambient(uint64_t ambient, struct cw_fault *fault) {
    if (ambient == 0) return 0;
    cw_at(fault, CW_STEP_CAPS_AMBIENT, CW_NO_INDEX);
    for (unsigned long capability = 0; capability < 64; capability++)
        if (ambient >> capability & 1)
            CW_TRY(fault, "prctl", sys_prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability));
    return 0;
}

int cw_caps_set(uint64_t kept, uint64_t ambient, struct cw_fault *fault) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    CW_TRY(fault, "prctl", sys_prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0));
    CW_TRY(fault, "capget", sys_capget(&header, data));
    uint64_t held = (uint64_t)data[1].permitted << 32 | data[0].permitted;
    // What cannot be had is left out: what the kernel does not know, and, where there is no user
    // namespace of our own, what the caller was deprived of.
    for (unsigned long capability = 0; capability < 64; capability++)
        if (kept >> capability & 1 && !(held >> capability & 1) &&
            sys_prctl(PR_CAPBSET_READ, capability, 0) == 1)
            return cw_fail(fault, "capget", -EPERM);
    kept &= held;
    for (int half = 0; half < 2; half++) {
        data[half].effective = data[half].permitted = (uint32_t)(kept >> 32 * half);
        data[half].inheritable = (uint32_t)(ambient >> 32 * half);
    }
    CW_TRY(fault, "capset", sys_capset(&header, data));
    return raise_ambient(ambient, fault);
}

// SPDX-License-Identifier: MIT
#include "caps.h"

#include "sys.h"

int cw_caps_bound(uint64_t kept, struct cw_fault *fault) {
    for (unsigned long capability = 0; capability < 64; capability++) {
        long held = sys_prctl(PR_CAPBSET_READ, capability, 0);
        if (held == -EINVAL) break; // past the last one this kernel knows
        if (held == 0 || kept >> capability & 1) continue;
        CW_TRY(fault, "prctl", sys_prctl(PR_CAPBSET_DROP, capability, 0));
    }
    return 0;
}

// What can be had: capset refuses bits that the kernel does not know, and, where there is no user
// namespace of our own, those that the caller was deprived of.
static uint64_t available_capabilities(void) {
    uint64_t available = 0;
    for (unsigned long capability = 0; capability < 64; capability++) {
        long held = sys_prctl(PR_CAPBSET_READ, capability, 0);
        if (held == -EINVAL) break; // past the last one this kernel knows
        if (held == 1) available |= (uint64_t)1 << capability;
    }
    return available;
}

int cw_caps_set(uint64_t kept, struct cw_fault *fault) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    kept &= available_capabilities();
    struct __user_cap_data_struct data[2] = {
        {.effective = (uint32_t)kept, .permitted = (uint32_t)kept},
        {.effective = (uint32_t)(kept >> 32), .permitted = (uint32_t)(kept >> 32)},
    };
    CW_TRY(fault, "prctl", sys_prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0));
    CW_TRY(fault, "capset", sys_capset(&header, data));
    return 0;
}

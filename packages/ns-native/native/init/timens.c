// SPDX-License-Identifier: MIT
#include "timens.h"

#include "procfs.h"
#include "sys.h"

// "monotonic -3600 0": clock, seconds and nanoseconds, time_namespaces(7).
static void describe(struct cw_text *text, const struct cw_time_offset *offset) {
    uint64_t seconds = (uint64_t)offset->seconds;
    cw_text_add_number(text, offset->clock, 1);
    cw_text_add(text, offset->seconds < 0 ? " -" : " ");
    cw_text_add_number(text, offset->seconds < 0 ? -seconds : seconds, 1);
    cw_text_add(text, " ");
    cw_text_add_number(text, offset->nanoseconds, 1);
    cw_text_add(text, "\n");
}

int cw_timens_enter(const struct cw_config *config, int proc, struct cw_fault *fault) {
    char lines[128];
    struct cw_text text = CW_TEXT(lines);
    cw_at(fault, CW_STEP_TIME, CW_NO_INDEX);
    // For our children; unlike with clone there is a moment for the offsets, and CLONE_NEWTIME is
    // among the bits that clone(2) takes for the exit signal.
    CW_TRY(fault, "unshare", sys_unshare(CLONE_NEWTIME));
    for (uint32_t i = 0; i < config->privilege.offset_count; i++)
        describe(&text, &config->privilege.offsets[i]);
    if (text.used > 0) {
        int error = cw_proc_write(proc, 0, "timens_offsets", &text, fault);
        if (error < 0) return error;
    }
    // And for ourselves, so that who joins us by pidfd is in it too.
    CW_AUTO_FD own = (int)CW_TRY(
        fault, "open", cw_proc_open_namespace(proc, 0, "time_for_children", CLONE_NEWTIME));
    CW_TRY(fault, "setns", sys_setns(own, CLONE_NEWTIME));
    return 0;
}

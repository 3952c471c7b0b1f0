// SPDX-License-Identifier: MIT
#include "label.h"

#include "procfs.h"
#include "sys.h"

#define CW_LABEL_MAX 4096

// A fake attr file would swallow the label and leave the program unconfined (CVE-2019-16884).
static int write_attribute(int proc, const char *name, const char *prefix, const char *label,
                           struct cw_fault *fault) {
    char value[CW_LABEL_MAX];
    struct cw_text text = CW_TEXT(value);
    cw_text_add(&text, prefix);
    cw_text_add(&text, label);
    return cw_proc_write(proc, 0, name, &text, fault);
}

int cw_label_next_exec(const struct cw_config *config, int proc, struct cw_fault *fault) {
    const struct cw_privilege *privilege = &config->privilege;
    if (privilege->apparmor != NULL) {
        cw_at(fault, CW_STEP_LSM_LABEL, CW_LABEL_APPARMOR);
        // Before Linux 5.8 the files of all security modules are one.
        CW_AUTO_FD own = cw_proc_open_of(proc, 0, "attr/apparmor", O_PATH | O_DIRECTORY);
        int error = write_attribute(proc, own < 0 ? "attr/exec" : "attr/apparmor/exec", "exec ",
                                    privilege->apparmor, fault);
        if (error < 0) return error;
    }
    if (privilege->selinux == NULL) return 0;
    cw_at(fault, CW_STEP_LSM_LABEL, CW_LABEL_SELINUX);
    return write_attribute(proc, "attr/exec", "", privilege->selinux, fault);
}

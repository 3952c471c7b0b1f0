// SPDX-License-Identifier: MIT
// What failed: filled in where it fails, carried outwards as it is.
#ifndef CW_FAULT_H
#define CW_FAULT_H

#include "steps.h"
#include "text.h"

#define CW_NO_INDEX 0xffffffffu
// Index of an exec fault: the program exists, its interpreter or loader does not.
#define CW_EXEC_INTERPRETER_MISSING 1
// Index of an exec or seccomp fault: a signal ended the process before it was the program.
#define CW_EXEC_DIED 2
// Index of a label fault: whose label it is.
#define CW_LABEL_APPARMOR 0
#define CW_LABEL_SELINUX 1

struct cw_fault {
    uint32_t step;
    uint32_t index; // which of a repeated thing, or CW_NO_INDEX
    int32_t error;  // errno, positive
    char call[20];  // the system call or program that failed
    char detail[228];
};

static inline void cw_at(struct cw_fault *fault, enum cw_step step, uint32_t index) {
    fault->step = step;
    fault->index = index;
}

static inline int cw_fail(struct cw_fault *fault, const char *call, long error) {
    struct cw_text text = CW_TEXT(fault->call);
    fault->error = (int32_t)-error;
    fault->call[0] = '\0';
    cw_text_add(&text, call);
    return (int)error;
}

// The value of a call, or return from this function with the fault filled in.
#define CW_TRY(fault, call, expression)                                                           \
    ({                                                                                            \
        long cw_result = (long)(expression);                                                      \
        if (cw_result < 0) return cw_fail(fault, call, cw_result);                                \
        cw_result;                                                                                \
    })

#endif

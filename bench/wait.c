// SPDX-License-Identifier: MIT
// A program that waits for ever, for bench/sandbox.mjs.
#include <asm/unistd.h>

#if defined(__x86_64__)
void _start(void) {
    for (;;) __asm__ volatile("syscall" ::"a"(__NR_ppoll), "D"(0), "S"(0), "d"(0) : "rcx", "r11");
}
#else
void _start(void) {
    register long x8 __asm__("x8") = __NR_ppoll;
    register long x0 __asm__("x0") = 0;
    register long x1 __asm__("x1") = 0;
    register long x2 __asm__("x2") = 0;
    for (;;) __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2));
}
#endif

/*
 * Compiles rules with libseccomp, for the comparison in libseccomp.test.ts. Lines on stdin:
 *
 *   profile ARCH DEFAULT              x86_64 or aarch64; actions as the kernel's SECCOMP_RET_*
 *   rule ACTION NAME COUNT {INDEX OP A B}...
 *   end
 *
 * For each profile on stdout: a line "LENGTH" and so many bytes of BPF, or "refused" and the
 * number of the rule that libseccomp did not take.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static scmp_filter_ctx start(const char *arch, uint32_t otherwise)
{
    scmp_filter_ctx context = seccomp_init(otherwise);
    uint32_t wanted = seccomp_arch_resolve_name(arch);
    if (context == NULL || wanted == 0) abort();
    if (wanted != seccomp_arch_native()) {
        if (seccomp_arch_add(context, wanted) || seccomp_arch_remove(context, SCMP_ARCH_NATIVE)) abort();
    }
    return context;
}

static int add(scmp_filter_ctx context, uint32_t action, const char *name, unsigned count)
{
    struct scmp_arg_cmp args[6];
    for (unsigned i = 0; i < count; i++) {
        unsigned op;
        if (scanf("%u %u %" SCNu64 " %" SCNu64, &args[i].arg, &op, &args[i].datum_a, &args[i].datum_b) != 4) abort();
        args[i].op = op;
    }
    int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR) {
        fprintf(stderr, "unknown %s\n", name);
        return 0;
    }
    return seccomp_rule_add_array(context, action, number, count, args);
}

static void finish(scmp_filter_ctx context, int refused)
{
    static char bytes[1 << 20];
    if (refused) {
        printf("refused %d\n", refused);
    } else {
        int file = memfd_create("bpf", 0);
        if (seccomp_export_bpf(context, file)) abort();
        ssize_t size = pread(file, bytes, sizeof bytes, 0);
        close(file);
        printf("%zd\n", size);
        fwrite(bytes, 1, (size_t)size, stdout);
    }
    seccomp_release(context);
}

int main(void)
{
    char word[64], name[64];
    uint32_t action;
    unsigned count;
    scmp_filter_ctx context = NULL;
    int rules = 0, refused = 0;
    while (scanf("%63s", word) == 1) {
        if (strcmp(word, "profile") == 0) {
            if (scanf("%63s %" SCNu32, name, &action) != 2) abort();
            context = start(name, action);
            rules = refused = 0;
        } else if (strcmp(word, "rule") == 0) {
            if (scanf("%" SCNu32 " %63s %u", &action, name, &count) != 3 || count > 6) abort();
            rules++;
            if (add(context, action, name, count) && !refused) refused = rules;
        } else {
            finish(context, refused);
        }
    }
    return 0;
}

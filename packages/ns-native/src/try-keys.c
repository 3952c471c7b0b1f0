/*
 * try-keys find: prints 0 when the session keyring holds the key, or the errno.
 * try-keys COMMAND...: runs it with a new session keyring that holds the key.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/keyctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NAME "cromwell-test"

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "find") == 0) {
        long found = syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user", NAME, 0);
        printf("%d\n", found < 0 ? errno : 0);
        return 0;
    }
    if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 ||
        syscall(SYS_add_key, "user", NAME, "secret", 6, KEY_SPEC_SESSION_KEYRING) < 0) {
        perror("cannot add a key");
        return 1;
    }
    execvp(argv[1], argv + 1);
    perror(argv[1]);
    return 127;
}

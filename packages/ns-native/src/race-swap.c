// SPDX-License-Identifier: MIT
// race-swap CPU PATH…: exchanges each PATH with PATH.link, over and over, on one processor, until it is
// killed. What was a directory is a link the next moment, and never missing in between.
#define _GNU_SOURCE
#include <fcntl.h>
#include <libgen.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#define PATHS_MAX 64

static struct {
    int directory; // opened before anything is swapped, as the parents are, too
    const char *name;
    char link[256];
} entries[PATHS_MAX];

int main(int count, char **arguments) {
    cpu_set_t processors;
    int paths = count - 2;
    if (paths < 1 || paths > PATHS_MAX) return 2;
    for (int i = 0; i < paths; i++) {
        entries[i].name = basename(strdup(arguments[i + 2]));
        entries[i].directory = open(dirname(arguments[i + 2]), O_PATH | O_DIRECTORY);
        snprintf(entries[i].link, sizeof entries[i].link, "%s.link", entries[i].name);
        if (entries[i].directory < 0) return 2;
    }
    CPU_ZERO(&processors);
    CPU_SET(atoi(arguments[1]), &processors);
    sched_setaffinity(0, sizeof processors, &processors);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    puts("swapping");
    fflush(stdout);
    for (;;)
        for (int i = 0; i < paths; i++)
            if (renameat2(entries[i].directory, entries[i].name, entries[i].directory,
                          entries[i].link, RENAME_EXCHANGE) != 0)
                return 1;
}

/* Feeds every file of a corpus folder to the fuzz target: each crash ever found stays a test. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static int
replay_file(const char *path)
{
    static uint8_t bytes[1 << 20];
    FILE *f = fopen(path, "rb");
    size_t n;
    uint8_t *exact;

    if (!f)
        return -1;
    n = fread(bytes, 1, sizeof(bytes), f);
    fclose(f);
    exact =
        malloc(n ? n : 1); /* its own allocation, so that a sanitizer sees a read past the end */
    if (!exact)
        return -1;
    for (size_t i = 0; i < n; i++)
        exact[i] = bytes[i];
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    return 0;
}

int
main(int argc, char **argv)
{
    DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
    struct dirent *e;
    char path[1024];
    int n = 0;

    if (!dir) {
        printf("1..1\nnot ok 1 - no corpus folder\n");
        return 1;
    }
    while ((e = readdir(dir))) {
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s", argv[1], e->d_name);
        printf("%s %d - %s\n", replay_file(path) == 0 ? "ok" : "not ok", n + 1, e->d_name);
        n++;
    }
    closedir(dir);
    printf("1..%d\n", n);
    return n ? 0 : 1;
}

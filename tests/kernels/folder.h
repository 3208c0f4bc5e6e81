/* For kernels that refq cannot call: the folder that refq/vectors/kernel_files.py describes, read and written. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE *opened(const char *folder, int at, const char *name, const char *mode)
{
    char path[4096];
    if (at < 0)
        snprintf(path, sizeof path, "%s/%s", folder, name);
    else
        snprintf(path, sizeof path, "%s/%04d/%s", folder, at, name);
    FILE *file = fopen(path, mode);
    if (!file) {
        perror(path);
        exit(2);
    }
    return file;
}

/* The bytes of an operand of case `at`, or of a result as it is before the call. */
static void *read_bytes(const char *folder, int at, const char *name, long *size)
{
    FILE *file = opened(folder, at, name, "rb");
    fseek(file, 0, SEEK_END);
    *size = ftell(file);
    rewind(file);
    void *bytes = aligned_alloc(64, (size_t)(*size + 128) / 64 * 64);
    if (!bytes || fread(bytes, 1, (size_t)*size, file) != (size_t)*size)
        exit(3);
    fclose(file);
    return bytes;
}

static void write_bytes(const char *folder, int at, const char *name, const void *bytes, long size)
{
    FILE *file = opened(folder, at, name, "wb");
    if (fwrite(bytes, 1, (size_t)size, file) != (size_t)size || fclose(file))
        exit(3);
}

/* A value of sizes.txt that is the same in all cases. */
static int value_of(const char *folder, const char *name)
{
    FILE *file = opened(folder, -1, "sizes.txt", "r");
    char found[256];
    long value;
    while (fscanf(file, "%255s %ld", found, &value) == 2)
        if (!strcmp(found, name)) {
            fclose(file);
            return (int)value;
        }
    fprintf(stderr, "sizes.txt has no %s\n", name);
    exit(4);
}

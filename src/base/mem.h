/* base/mem.h -- ownership, readable at the declaration and at the call.
 *
 * Four kinds of pointer and no fifth: `out`/`T **` you get and free; CPN_TAKES is consumed
 * whatever the result (pass it with cpn_steal); `const T *` and cpn_view are borrowed until the
 * call returns; plain `T *` is borrowed and changed. */
#ifndef CPN_BASE_MEM_H
#define CPN_BASE_MEM_H

#include <stddef.h>

#define CPN_AUTO(fn) __attribute__((cleanup(fn)))
#define CPN_TAKES
#define CPN_MUST_CHECK __attribute__((warn_unused_result))
#define CPN_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define CPN_UNUSED __attribute__((unused))

/* Move a pointer out of its variable, leaving NULL behind. */
#define cpn_steal(pp)                                                                              \
    __extension__({                                                                                \
        __typeof__(*(pp)) stolen_ = *(pp);                                                         \
        *(pp) = NULL;                                                                              \
        stolen_;                                                                                   \
    })

/* Define the cleanup function NAME_auto for a type whose NAME_free(NULL) does nothing. */
#define CPN_DEFINE_AUTO(type, name)                                                                \
    static inline CPN_UNUSED void name##_auto(type **p)                                            \
    {                                                                                              \
        name##_free(*p);                                                                           \
    }

#define CPN_COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define CPN_MIN(a, b) ((a) < (b) ? (a) : (b))
#define CPN_MAX(a, b) ((a) > (b) ? (a) : (b))
#define cpn_container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Release a descriptor at the end of the scope; -1 is fine. */
void cpn_auto_fd(int *fd);
/* Move a descriptor out of its variable, leaving -1 behind. */
int cpn_steal_fd(int *fd);
/* Release malloc'd memory at the end of the scope. */
void cpn_auto_mem(void *pp);

/* calloc/strndup that abort on exhaustion: for start-up and control-plane objects of bounded size,
 * where continuing without memory has no safe meaning. The data path charges a quota first. */
void *cpn_xcalloc(size_t n, size_t size) __attribute__((malloc, alloc_size(1, 2)));
void *cpn_xrealloc(void *p, size_t n, size_t size) __attribute__((alloc_size(2, 3)));
char *cpn_xstrdup(const char *s) __attribute__((malloc));
char *cpn_xstrndup(const char *s, size_t n) __attribute__((malloc));

#endif

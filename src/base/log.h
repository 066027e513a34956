/* base/log.h -- one line = one event: level, event name (noun.verb), key=value…
 *
 *     cpn_log(CPN_LOG_INFO, "dial.failed", CPN_KV("target", name), CPN_KI("port", port));
 *
 * Values are strings or integers; bytes below 0x20, quotes, DEL and non-UTF-8 are escaped, so a
 * peer cannot forge a line. There is no way to log a cpn_secret. A line is one
 * pwritev2(RWF_NOWAIT): a full pipe never blocks a loop, and what it refuses is counted. */
#ifndef CPN_BASE_LOG_H
#define CPN_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum cpn_log_level {
    CPN_LOG_ERROR,
    CPN_LOG_WARN,
    CPN_LOG_INFO,
    CPN_LOG_DEBUG
} cpn_log_level;

typedef struct cpn_kv {
    const char *key;
    const char *s; /* NULL: the value is i */
    int64_t i;
} cpn_kv;

static inline const char *
cpn_kv_str(const char *s)
{
    return s ? s : "";
}

#define CPN_KV(k, str) ((cpn_kv){ .key = (k), .s = cpn_kv_str(str) })
#define CPN_KI(k, num) ((cpn_kv){ .key = (k), .i = (int64_t)(num) })
/* What a cpn_err * says. */
#define CPN_KE(err) CPN_KV("error", (err)->msg)

#define cpn_log(level, event, ...)                                                                 \
    cpn_log_write((level), (event), (const cpn_kv[]){ __VA_ARGS__ __VA_OPT__(, ){ 0 } })

/* Where lines go and how: set once at start. role is the first field of each line. */
void cpn_log_setup(const char *role, bool json, cpn_log_level max, int fd);
/* Of a setting's word; INFO for one that is none. */
cpn_log_level cpn_log_level_of(const char *word);
/* Only the level. One that does not exist, as a message from outside may name, changes nothing. */
void cpn_log_set_level(unsigned max);
void cpn_log_write(cpn_log_level level, const char *event, const cpn_kv *kv);
/* Lines that the sink refused since start. */
uint64_t cpn_log_refused(void);
/* The text of a line without writing it; used by the tests. Returns its length, at most size. */
size_t cpn_log_format(char *out, size_t size, cpn_log_level level, const char *event,
                      const cpn_kv *kv);

#endif

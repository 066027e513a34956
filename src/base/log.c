/* One line a event, logfmt or JSON, escaped, never blocking. */
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"

#define LINE_MAX_BYTES 2048

static struct {
    const char *role;
    bool json;
    cpn_log_level max;
    int fd;
    uint64_t refused;
} sink = { .role = "caponier", .max = CPN_LOG_INFO, .fd = STDERR_FILENO };

static const char *const level_names[] = { "error", "warn", "info", "debug" };

typedef struct cursor {
    char *p;
    size_t n;
    size_t size;
} cursor;

static void
put(cursor *c, const char *s, size_t n)
{
    n = n < c->size - c->n ? n : c->size - c->n;
    memcpy(c->p + c->n, s, n);
    c->n += n;
}

static void
put_str(cursor *c, const char *s)
{
    put(c, s, strlen(s));
}

/* Length of the valid UTF-8 sequence at s (no C1 controls, no bidi overrides), 0 when not one. */
static size_t
utf8_len(const unsigned char *s)
{
    size_t n = (s[0] & 0xe0) == 0xc0   ? 2
               : (s[0] & 0xf0) == 0xe0 ? 3
               : (s[0] & 0xf8) == 0xf0 ? 4
                                       : 0;

    if (n == 0 || s[0] < 0xc2 || s[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if (s[0] == 0xc2 && s[1] < 0xa0)
        return 0;
    if (s[0] == 0xe2 && (s[1] == 0x80 || s[1] == 0x81) && s[2] >= 0xa6)
        return 0; /* U+2026…U+202E, U+2066…: bidi controls live here */
    return n;
}

static void
put_quoted(cursor *c, const char *s)
{
    const unsigned char *u = (const unsigned char *)s;
    char hex[8];

    put_str(c, "\"");
    while (*u) {
        size_t n = utf8_len(u);
        if (n == 0 && *u >= 0x20 && *u < 0x7f && *u != '"' && *u != '\\')
            n = 1;
        if (n) {
            put(c, (const char *)u, n);
            u += n;
            continue;
        }
        snprintf(hex, sizeof(hex), *u == '"' || *u == '\\' ? "\\%c" : "\\u%04x", *u);
        put_str(c, hex);
        u++;
    }
    put_str(c, "\"");
}

static void
put_field(cursor *c, const cpn_kv *kv, bool json)
{
    char num[24];

    if (json) {
        put_str(c, ",");
        put_quoted(c, kv->key);
        put_str(c, ":");
    } else {
        if (c->n)
            put_str(c, " ");
        put_str(c, kv->key);
        put_str(c, "=");
    }
    if (!kv->s) {
        snprintf(num, sizeof(num), "%" PRId64, kv->i);
        put_str(c, num);
        return;
    }
    if (!json && kv->s[0] &&
        strspn(kv->s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                      "0123456789-_.:/@+") == strlen(kv->s))
        put_str(c, kv->s);
    else
        put_quoted(c, kv->s);
}

size_t
cpn_log_format(char *out, size_t size, cpn_log_level level, const char *event, const cpn_kv *kv)
{
    cursor c = { .p = out, .size = size - 2 };
    char when[CPN_TIME_SIZE];
    cpn_kv head[] = { CPN_KV("time", cpn_time_rfc3339(cpn_wall_ms(), when)),
                      CPN_KV("level", level_names[level]), CPN_KV("role", sink.role),
                      CPN_KV("event", event) };

    if (sink.json)
        put_str(&c, "{\"v\":1");
    for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++)
        put_field(&c, &head[i], sink.json);
    for (; kv->key; kv++)
        put_field(&c, kv, sink.json);
    c.size = size;
    put_str(&c, sink.json ? "}\n" : "\n");
    return c.n;
}

void
cpn_log_setup(const char *role, bool json, cpn_log_level max, int fd)
{
    sink.role = role;
    sink.json = json;
    sink.max = max;
    sink.fd = fd;
}

cpn_log_level
cpn_log_level_of(const char *word)
{
    for (unsigned i = CPN_LOG_ERROR; i <= CPN_LOG_DEBUG; i++)
        if (strcmp(word, level_names[i]) == 0)
            return (cpn_log_level)i;
    return CPN_LOG_INFO;
}

void
cpn_log_set_level(unsigned max)
{
    if (max <= CPN_LOG_DEBUG)
        sink.max = (cpn_log_level)max;
}

void
cpn_log_write(cpn_log_level level, const char *event, const cpn_kv *kv)
{
    char line[LINE_MAX_BYTES];
    struct pollfd ready = { .fd = sink.fd, .events = POLLOUT };
    struct iovec iov;
    ssize_t n;

    if (level > sink.max)
        return;
    iov = (struct iovec){ line, cpn_log_format(line, sizeof(line), level, event, kv) };
    n = pwritev2(sink.fd, &iov, 1, -1, RWF_NOWAIT);
    if (n < 0 && errno == EOPNOTSUPP && ready.fd >= 0 && poll(&ready, 1, 0) == 1 &&
        (ready.revents & POLLOUT))
        n = writev(sink.fd, &iov, 1);
    if (n != (ssize_t)iov.iov_len)
        sink.refused++;
}

uint64_t
cpn_log_refused(void)
{
    return sink.refused;
}

/* Words and JSON of a verdict. */
#include <stdio.h>

#include "codec/chars.h"
#include "policy/decide.h"

static size_t
add(char *out, size_t size, size_t at, const char *text)
{
    size_t n;

    if (at + 1 >= size)
        return at;
    n = cpn_utf8_cut(text, size - at - 1);
    memcpy(out + at, text, n);
    out[at + n] = '\0';
    return at + n;
}

/* "Reader on /subscriptions/…", the port that was asked for, or the reason's own sentence. */
static size_t
add_line(char *out, size_t size, size_t at, const cpn_verdict *v, const cpn_missing *m)
{
    char port[48];

    if (m->why == CPN_WHY_PORT) {
        snprintf(port, sizeof(port), "port %u is not allowed here", v->port);
        return add(out, size, at, port);
    }
    if (m->why == CPN_WHY_ROLE_MISSING) {
        at = add(out, size, at, m->role);
        at = add(out, size, at, " on ");
        return add(out, size, at, m->scope);
    }
    at = add(out, size, at, cpn_reason_sentence(m->why));
    if (m->scope[0]) {
        at = add(out, size, at, " (");
        if (m->role[0]) {
            at = add(out, size, at, m->role);
            at = add(out, size, at, " ");
        }
        at = add(out, size, at, "on ");
        at = add(out, size, at, m->scope);
        at = add(out, size, at, ")");
    }
    return at;
}

size_t
cpn_verdict_sentence(const cpn_verdict *v, char *out, size_t size)
{
    size_t at;

    if (size == 0)
        return 0;
    out[0] = '\0';
    if (v->allowed)
        return add(out, size, 0, "allowed");
    at = add(out, size, 0, "denied: ");
    for (unsigned i = 0; i < v->missing_n; i++) {
        const cpn_missing *m = &v->missing[i];

        if (i > 0)
            at = add(out, size, at, "; ");
        if (i == 0 || v->missing[i - 1].why != m->why) {
            at = add(out, size, at, cpn_reason_word(m->why));
            at = add(out, size, at, ": ");
        }
        at = add_line(out, size, at, v, m);
    }
    return at;
}

/* NULL: none. */
static json_t *
limit_json(const cpn_verdict *v, uint64_t bytes)
{
    return v->allowed && bytes != CPN_NO_LIMIT ? json_integer((json_int_t)bytes) : NULL;
}

json_t *
cpn_verdict_json(const cpn_verdict *v)
{
    char message[8192];
    json_t *missing = json_array();

    (void)cpn_verdict_sentence(v, message, sizeof(message));
    for (unsigned i = 0; i < v->missing_n; i++)
        json_array_append_new(missing, json_pack("{s:s, s:s, s:s}", "reason",
                                                 cpn_reason_word(v->missing[i].why), "role",
                                                 v->missing[i].role, "scope", v->missing[i].scope));
    return json_pack("{s:b, s:s, s:s, s:o, s:o*, s:o*}", "allowed", v->allowed, "reason",
                     cpn_reason_word(v->why), "message", message, "missing", missing,
                     "maxUploadBytes", limit_json(v, v->limits.up), "maxDownloadBytes",
                     limit_json(v, v->limits.down));
}

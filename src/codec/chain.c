/* Links audit records by hash and checks the links. */
#include "codec/chain.h"

#include <stdio.h>

#include "codec/chars.h"
#include "codec/json.h"

static cpn_rc
load_record(json_t **out, cpn_view text, cpn_err *err)
{
    return cpn_json_load_object(out, text, CPN_RECORD_MAX, 128, err);
}

/* ---- a body, member by member ---- */

/* At a backslash: how long the one canonical spelling of this escape is; 0: not canonical. */
static size_t
escape_length(cpn_view v)
{
    static const char hex[] = "0123456789ABCDEF", named[] = "\b\f\n\r\t";
    const char *low;

    if (v.n >= 2 && v.p[1] && strchr("\"\\bfnrt", v.p[1]))
        return 2;
    if (v.n < 6 || memcmp(v.p + 1, "u00", 3) != 0 || (v.p[4] != '0' && v.p[4] != '1') || !v.p[5] ||
        !(low = strchr(hex, v.p[5])))
        return 0;
    /* NUL is nowhere in JSON of ours, and what has a name is spelled by it. */
    return v.p[4] == '0' && (low == hex || strchr(named, (int)(low - hex))) ? 0 : 6;
}

/* At a quote: bytes up to behind the closing one; 0: not canonical. */
static size_t
string_length(cpn_view v)
{
    for (size_t i = 1, k = 1; i < v.n && k; i += k) {
        if (v.p[i] == '"')
            return i + 1;
        k = v.p[i] == '\\' ? escape_length(cpn_view_skip(v, i)) : v.p[i] >= 0x20;
    }
    return 0;
}

static size_t
integer_length(cpn_view v)
{
    size_t sign = v.p[0] == '-', n = sign;
    uint64_t value;

    while (n < v.n && cpn_is_digit(v.p[n]))
        n++;
    if (!cpn_view_u64((cpn_view){ v.p + sign, n - sign }, INT64_MAX, &value) || (sign && !value))
        return 0;
    return n;
}

static size_t
value_length(cpn_view v)
{
    static const char *const words[] = { "true", "false", "null" };

    if (v.n == 0)
        return 0;
    if (v.p[0] == '"')
        return string_length(v);
    for (size_t i = 0; i < CPN_COUNT(words); i++)
        if (cpn_view_starts(v, words[i]))
            return strlen(words[i]);
    return integer_length(v);
}

typedef struct member {
    cpn_view name; /* without its quotes */
    cpn_view text; /* all of it: "name":value */
} member;

/* The member that text begins with; false: there is no canonical one. */
static bool
member_at(cpn_view text, member *out)
{
    size_t name = text.n && text.p[0] == '"' ? string_length(text) : 0, value;

    if (name == 0 || name >= text.n || text.p[name] != ':')
        return false;
    value = value_length(cpn_view_skip(text, name + 1));
    out->name = (cpn_view){ text.p + 1, name - 2 };
    out->text = (cpn_view){ text.p, name + 1 + value };
    return value > 0 && !memchr(out->name.p, '\\', out->name.n);
}

/* <0: a's name stands before b's. */
static int
order(cpn_view a, cpn_view b)
{
    int c = memcmp(a.p, b.p, CPN_MIN(a.n, b.n));

    return c ? c : (a.n > b.n) - (a.n < b.n);
}

static bool
is_ours(cpn_view name)
{
    return cpn_view_is(name, "seq") || cpn_view_is(name, "prev") || cpn_view_is(name, "hash");
}

/* A canonical body in three parts, each of whole members: those before "prev", those between it and
 * "seq", those behind. */
static cpn_rc
cut_body(cpn_view body, cpn_view parts[3], cpn_err *err)
{
    const cpn_view ours[] = { CPN_VIEW_LIT("prev"), CPN_VIEW_LIT("seq") };
    cpn_view rest = { body.p + 1, body.n - 2 }, before = { NULL, 0 };
    size_t part = 0;
    member m;

    for (unsigned n = 0; rest.n > 0; n++) {
        if (n == CPN_RECORD_MEMBERS_MAX || !member_at(rest, &m))
            return cpn_fail(err, CPN_INVALID, "audit record: not in its canonical form");
        if (is_ours(m.name) || (n > 0 && order(before, m.name) >= 0))
            return cpn_fail(err, CPN_INVALID, "audit record: %.*s may not stand there",
                            CPN_VIEW_ARG(m.name));
        while (part < CPN_COUNT(ours) && order(ours[part], m.name) < 0)
            part++;
        if (!parts[part].p)
            parts[part].p = m.text.p;
        parts[part].n = (size_t)(m.text.p + m.text.n - parts[part].p);
        before = m.name;
        rest = cpn_view_skip(rest, m.text.n);
        if (rest.n == 1 || (rest.n > 0 && rest.p[0] != ','))
            return cpn_fail(err, CPN_INVALID, "audit record: not in its canonical form");
        rest = cpn_view_skip(rest, 1);
    }
    return CPN_OK;
}

/* An object of the members in all parts. */
static cpn_rc
join(cpn_buf *out, const cpn_view *parts, size_t n)
{
    cpn_rc rc = cpn_buf_append(out, CPN_VIEW_LIT("{"));
    bool first = true;

    for (size_t i = 0; i < n && rc == CPN_OK; i++) {
        if (parts[i].n == 0)
            continue;
        if (!first)
            rc = cpn_buf_append(out, CPN_VIEW_LIT(","));
        if (rc == CPN_OK)
            rc = cpn_buf_append(out, parts[i]);
        first = false;
    }
    return rc == CPN_OK ? cpn_buf_append(out, CPN_VIEW_LIT("}")) : rc;
}

/* ---- links ---- */

cpn_rc
cpn_chain_link(cpn_chain_head *head, cpn_view body, cpn_buf *record, cpn_err *err)
{
    char hex[CPN_SHA256_HEX_SIZE], prev[sizeof(hex) + 16], seq[32];
    cpn_view parts[3] = { 0 };
    size_t before = record->n;
    cpn_rc rc;

    if (body.n < 2 || body.p[0] != '{' || body.p[body.n - 1] != '}' || !cpn_is_utf8(body))
        return cpn_fail(err, CPN_INVALID, "audit record: not a JSON object in UTF-8");
    if ((rc = cut_body(body, parts, err)) != CPN_OK)
        return rc;
    if (head->seq >= INT64_MAX ||
        !cpn_hex_encode((cpn_view){ head->hash, sizeof(head->hash) }, hex, sizeof(hex)))
        return cpn_fail(err, CPN_LIMIT, "audit record: the chain is full");
    snprintf(prev, sizeof(prev), "\"prev\":\"%s\"", hex);
    snprintf(seq, sizeof(seq), "\"seq\":%llu", (unsigned long long)head->seq + 1);
    rc = join(record,
              (cpn_view[]){ parts[0], cpn_view_str(prev), parts[1], cpn_view_str(seq), parts[2] },
              5);
    if (rc != CPN_OK || record->n - before > CPN_RECORD_MAX) {
        record->n = before;
        return cpn_fail(err, CPN_LIMIT, "audit record: longer than %d bytes", CPN_RECORD_MAX);
    }
    cpn_sha256((cpn_view){ record->p + before, record->n - before }, head->hash);
    head->seq++;
    return CPN_OK;
}

static cpn_rc
check_links(const cpn_chain_head *head, const json_t *r, cpn_err *err)
{
    const char *prev = json_string_value(json_object_get(r, "prev"));
    uint8_t hash[CPN_SHA256_BYTES];

    if (json_integer_value(json_object_get(r, "seq")) != (json_int_t)(head->seq + 1))
        return cpn_fail(err, CPN_INVALID, "the sequence number is not %llu",
                        (unsigned long long)(head->seq + 1));
    if (!prev || !cpn_hex_decode(cpn_view_str(prev), hash, sizeof(hash)) ||
        memcmp(hash, head->hash, sizeof(hash)) != 0)
        return cpn_fail(err, CPN_INVALID, "it does not follow from the record before it");
    return CPN_OK;
}

cpn_rc
cpn_chain_check(cpn_chain_head *head, cpn_view record, const uint8_t hash[CPN_SHA256_BYTES],
                cpn_err *err)
{
    CPN_AUTO(cpn_json_auto) json_t *r = NULL;
    uint8_t real[CPN_SHA256_BYTES];
    cpn_rc rc;

    cpn_sha256(record, real);
    if (memcmp(real, hash, sizeof(real)) != 0)
        return cpn_fail(err, CPN_INVALID, "its content does not match its hash");
    if (load_record(&r, record, err) != CPN_OK)
        return cpn_ctx(err, CPN_INVALID, "it is not a record");
    if ((rc = check_links(head, r, err)) != CPN_OK)
        return rc;
    head->seq++;
    memcpy(head->hash, real, sizeof(real));
    return CPN_OK;
}

cpn_rc
cpn_chain_check_export(cpn_chain_head *head, cpn_view record, cpn_err *err)
{
    CPN_AUTO(cpn_json_auto) json_t *r = NULL;
    CPN_AUTO(cpn_buf_fini) cpn_buf text = { .max = CPN_RECORD_MAX };
    const char *shown;
    uint8_t hash[CPN_SHA256_BYTES];

    if (cpn_json_load_object(&r, record, 2 * CPN_RECORD_MAX, 128, err) != CPN_OK)
        return cpn_ctx(err, CPN_INVALID, "it is not a record");
    shown = json_string_value(json_object_get(r, "hash"));
    if (!shown || !cpn_hex_decode(cpn_view_str(shown), hash, sizeof(hash)))
        return cpn_fail(err, CPN_INVALID, "it has no hash");
    if (json_object_del(r, "hash") < 0 || cpn_json_dump_canonical(r, &text) != CPN_OK)
        return cpn_fail(err, CPN_INVALID, "it is longer than a record may be");
    return cpn_chain_check(head, cpn_buf_view(&text), hash, err);
}

/* Long looks at the audit records, a slice at a time: reading a page, walking the whole chain. */
#include "codec/json.h"
#include "store/store_core.h"

#define FILTER_MAX 8

bool
cpn_store_filter_ok(const char *filter)
{
    cpn_view rest = cpn_view_str(filter), term, name, value;
    unsigned terms = 0;
    bool more = true;

    while (more) {
        more = cpn_view_cut(rest, '&', &term, &rest);
        if (++terms > FILTER_MAX || !cpn_view_cut(term, '=', &name, &value) || name.n == 0 ||
            name.n > 63)
            return false;
    }
    return true;
}

static bool
member_is(const json_t *record, cpn_view name, cpn_view value)
{
    const json_t *v;
    char text[64];

    if (!cpn_view_copy(name, text, sizeof(text)))
        return false;
    v = json_object_get(record, text);
    if (json_is_string(v))
        return cpn_view_eq(
            value, (cpn_view){ (const uint8_t *)json_string_value(v), json_string_length(v) });
    if (json_is_boolean(v))
        return cpn_view_is(value, json_is_true(v) ? "true" : "false");
    if (!json_is_integer(v))
        return false;
    snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(v));
    return cpn_view_is(value, text);
}

static bool
passes(const char *filter, cpn_view record)
{
    CPN_AUTO(cpn_json_auto) json_t *r = NULL;
    cpn_view rest = cpn_view_str(filter), term, name, value;
    bool more = true;

    if (!filter)
        return true;
    if (cpn_json_load_object(&r, record, CPN_RECORD_MAX, 128, NULL) != CPN_OK)
        return false;
    while (more) {
        more = cpn_view_cut(rest, '&', &term, &rest);
        if (!cpn_view_cut(term, '=', &name, &value) || !member_is(r, name, value))
            return false;
    }
    return true;
}

/* What a slice did, for the row callback. */
typedef struct slice {
    cpn_req *r;
    unsigned seen;
    bool full;
} slice;

/* The record's text with its hash as one more member. */
static bool
append_record(cpn_req *r, cpn_view record, const uint8_t hash[CPN_SHA256_BYTES])
{
    char hex[CPN_SHA256_HEX_SIZE];
    size_t before = r->body.n;

    if (record.n < 2 || !cpn_hex_encode((cpn_view){ hash, CPN_SHA256_BYTES }, hex, sizeof(hex)) ||
        r->body.max - r->body.n < record.n + sizeof(hex) + 16)
        return false;
    if (cpn_buf_append(&r->body, r->found ? CPN_VIEW_LIT(",") : CPN_VIEW_LIT("[")) == CPN_OK &&
        cpn_buf_append(&r->body, (cpn_view){ record.p, record.n - 1 }) == CPN_OK &&
        cpn_buf_printf(&r->body, ",\"hash\":\"%s\"}", hex) == CPN_OK)
        return true;
    r->body.n = before;
    return false;
}

static bool
read_row(void *owner, uint64_t seq, cpn_view record, const uint8_t hash[CPN_SHA256_BYTES])
{
    slice *sl = owner;
    cpn_req *r = sl->r;

    if (passes(r->filter, record)) {
        if (!append_record(r, record, hash)) {
            sl->full = true;
            return false;
        }
        r->found++;
    }
    sl->seen++;
    r->after = seq;
    return r->found < r->limit;
}

static bool
read_step(cpn_store *s, cpn_req *r)
{
    slice sl = { .r = r };

    r->rc = s->driver->audit_each(s->db, r->after, CPN_STORE_SLICE, read_row, &sl, &r->err);
    if (r->rc != CPN_OK)
        return true;
    if (sl.seen == CPN_STORE_SLICE && r->found < r->limit && !sl.full)
        return false;
    if (cpn_buf_append(&r->body, r->found ? CPN_VIEW_LIT("]") : CPN_VIEW_LIT("[]")) != CPN_OK)
        r->rc = cpn_fail(&r->err, CPN_LIMIT, "the answer is too long");
    return true;
}

static bool
walk_row(void *owner, uint64_t seq, cpn_view record, const uint8_t hash[CPN_SHA256_BYTES])
{
    slice *sl = owner;
    cpn_req *r = sl->r;

    if (r->chain.seq == r->end.seq)
        return false;
    sl->seen++;
    if (seq != r->chain.seq + 1) {
        cpn_fail(&r->err, CPN_INVALID, "the record is missing; the next is %llu",
                 (unsigned long long)seq);
        sl->full = true;
    } else if (cpn_chain_check(&r->chain, record, hash, &r->err) != CPN_OK) {
        sl->full = true;
    }
    return !sl->full;
}

static void
say_verdict(cpn_req *r, bool ok)
{
    CPN_AUTO(cpn_json_auto) json_t *verdict = NULL;

    if (ok)
        verdict = json_pack("{s:I,s:b}", "records", (json_int_t)r->end.seq, "ok", 1);
    else
        verdict = json_pack("{s:b,s:I,s:s}", "ok", 0, "firstBad", (json_int_t)(r->chain.seq + 1),
                            "why", r->err.msg);
    r->rc = verdict && cpn_json_dump(verdict, &r->body) == CPN_OK
                ? CPN_OK
                : cpn_fail(&r->err, CPN_E_NOMEM, "store");
}

static bool
walk_step(cpn_store *s, cpn_req *r)
{
    slice sl = { .r = r };

    r->rc = s->driver->audit_each(s->db, r->chain.seq, CPN_STORE_SLICE, walk_row, &sl, &r->err);
    if (r->rc != CPN_OK)
        return true;
    if (sl.full) {
        say_verdict(r, false);
    } else if (r->chain.seq < r->end.seq) {
        if (sl.seen > 0)
            return false;
        cpn_fail(&r->err, CPN_INVALID, "the records end here, but the chain's head is %llu",
                 (unsigned long long)r->end.seq);
        say_verdict(r, false);
    } else if (memcmp(r->chain.hash, r->end.hash, sizeof(r->end.hash)) != 0) {
        r->chain.seq--;
        cpn_fail(&r->err, CPN_INVALID, "its hash is not that of the chain's head");
        say_verdict(r, false);
    } else {
        say_verdict(r, true);
    }
    return true;
}

bool
cpn_store_job_step(cpn_store *s, cpn_req *r)
{
    return r->what == CPN_REQ_AUDIT_READ ? read_step(s, r) : walk_step(s, r);
}

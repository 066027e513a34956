/* Links audit records by hash and checks the links. */
#include "codec/chain.h"

#include "codec/json.h"

static cpn_rc
load_record(json_t **out, cpn_view text, cpn_err *err)
{
    return cpn_json_load_object(out, text, CPN_RECORD_MAX, 128, err);
}

cpn_rc
cpn_chain_link(cpn_chain_head *head, cpn_view body, cpn_buf *record, cpn_err *err)
{
    CPN_AUTO(cpn_json_auto) json_t *r = NULL;
    char prev[CPN_SHA256_HEX_SIZE];
    size_t before = record->n;
    cpn_rc rc = load_record(&r, body, err);

    if (rc != CPN_OK)
        return cpn_ctx(err, rc, "audit record");
    if (json_object_get(r, "seq") || json_object_get(r, "prev") || json_object_get(r, "hash"))
        return cpn_fail(err, CPN_INVALID, "audit record: seq, prev and hash are not the writer's");
    if (head->seq >= INT64_MAX ||
        !cpn_hex_encode((cpn_view){ head->hash, sizeof(head->hash) }, prev, sizeof(prev)))
        return cpn_fail(err, CPN_LIMIT, "audit record: the chain is full");
    if (json_object_set_new(r, "seq", json_integer((json_int_t)(head->seq + 1))) < 0 ||
        json_object_set_new(r, "prev", json_string(prev)) < 0)
        return cpn_fail(err, CPN_E_NOMEM, "audit record");
    if (cpn_json_dump_canonical(r, record) != CPN_OK || record->n - before > CPN_RECORD_MAX) {
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

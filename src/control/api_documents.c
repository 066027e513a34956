/* GET /v1/documents and /v1/document: the inventory, as far as the caller may read it. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "codec/url.h"
#include "control/named.h"
#include "control/reply.h"

#define PAGE 1000

typedef struct page {
    const char *kind;
    const char *name;   /* "" for all */
    const char *prefix; /* of the last name of the id; "" for all */
    unsigned long skip;
    unsigned long seen;
    bool more;
    json_t *value;
} page;

static bool
begins(const page *p, const char *id)
{
    const char *slash = strrchr(id, '/');

    return strncasecmp(slash ? slash + 1 : id, p->prefix, strlen(p->prefix)) == 0;
}

static bool
called(const page *p, const char *id, const json_t *body)
{
    if (p->prefix[0] && !begins(p, id))
        return false;
    return !p->name[0] || cpn_last_name_is(id, p->name) ||
           strcasecmp(cpn_json_string(body, "name"), p->name) == 0 ||
           strcasecmp(cpn_json_string(body, "appId"), p->name) == 0;
}

static bool
collect(void *owner, const char *id, const json_t *body)
{
    page *p = owner;

    if (!called(p, id, body) || p->seen++ < p->skip)
        return true;
    if (json_array_size(p->value) == PAGE) {
        p->more = true;
        return false;
    }
    json_array_append_new(p->value,
                          json_pack("{s:s,s:s,s:O}", "kind", p->kind, "id", id, "body", body));
    return true;
}

static bool
listed_kind(const char *kind)
{
    static const char *const kinds[] = {
        CPN_KIND_SUBSCRIPTION, CPN_KIND_GROUP,     CPN_KIND_NETWORK, CPN_KIND_MACHINE,
        CPN_KIND_NIC,          CPN_KIND_SCALE_SET, CPN_KIND_BASTION, CPN_KIND_PRINCIPAL,
        CPN_KIND_ASSIGNMENT,   CPN_KIND_ROLE,
    };

    for (size_t i = 0; i < CPN_COUNT(kinds); i++)
        if (strcmp(kind, kinds[i]) == 0)
            return true;
    return false; /* credentials, too: they are never listed */
}

/* Where the page after this one is. */
static cpn_rc
put_next(const page *p, cpn_buf *next)
{
    const struct {
        const char *key, *value;
    } asked[] = { { "name", p->name }, { "prefix", p->prefix } };
    cpn_rc rc = cpn_buf_printf(next, "/v1/documents?kind=%s", p->kind);

    for (size_t i = 0; i < CPN_COUNT(asked) && rc == CPN_OK; i++) {
        if (!asked[i].value[0])
            continue;
        rc = cpn_buf_printf(next, "&%s=", asked[i].key);
        if (rc == CPN_OK)
            rc = cpn_percent_put(next, cpn_view_str(asked[i].value));
    }
    if (rc == CPN_OK)
        rc = cpn_buf_printf(next, "&%%24skiptoken=%lu", p->skip + PAGE);
    return rc == CPN_OK ? cpn_buf_append(next, (cpn_view){ (const uint8_t *)"", 1 }) : rc;
}

static void
documents_list(cpn_call *call)
{
    char kind[64], name[CPN_ID_MAX + 1], prefix[CPN_NAME_MAX + 1], token[24];
    page p = { .kind = kind, .name = name, .prefix = prefix };
    cpn_buf next = { .max = 4096 };
    uint64_t skip = 0;
    bool ok;

    (void)cpn_call_query(call, "kind", kind, sizeof(kind));
    (void)cpn_call_query(call, "name", name, sizeof(name));
    (void)cpn_call_query(call, "prefix", prefix, sizeof(prefix));
    if (!listed_kind(kind)) {
        cpn_reply_rc(call, CPN_INVALID, "kind: expected one of the inventory's kinds", NULL);
        return;
    }
    if (cpn_call_query(call, "$skiptoken", token, sizeof(token)) &&
        !cpn_view_u64(cpn_view_str(token), 1u << 30, &skip)) {
        cpn_reply_rc(call, CPN_INVALID, "$skiptoken: not one of ours", NULL);
        return;
    }
    p.skip = skip;
    p.value = json_array();
    cpn_snapshot_each(call->c->snapshot, kind, cpn_call_who(call), collect, &p);
    ok = p.more && put_next(&p, &next) == CPN_OK;
    cpn_reply_list(call, p.value, ok ? (const char *)next.p : NULL);
    cpn_buf_fini(&next);
}

typedef struct one {
    const char *want;
    json_t *found;
    const char *kind;
} one;

static bool
take(void *owner, const char *id, const json_t *body)
{
    one *o = owner;

    if (strcasecmp(id, o->want) != 0)
        return true;
    o->found = json_pack("{s:s,s:s,s:O}", "kind", o->kind, "id", id, "body", body);
    return false;
}

static void
document_show(cpn_call *call)
{
    char kind[64], id[CPN_ID_MAX + 1];
    one o = { .want = id, .kind = kind };

    if (!cpn_call_query(call, "kind", kind, sizeof(kind)) ||
        !cpn_call_query(call, "id", id, sizeof(id)) || !listed_kind(kind)) {
        cpn_reply_rc(call, CPN_INVALID, "expected kind and id", NULL);
        return;
    }
    /* What the caller may not read does not exist for them. */
    if (cpn_snapshot_document(call->c->snapshot, kind, cpn_view_str(id)))
        cpn_snapshot_each(call->c->snapshot, kind, cpn_call_who(call), take, &o);
    if (o.found)
        cpn_reply_json(call, 200, o.found);
    else
        cpn_reply_rc(call, CPN_NOT_FOUND, NULL, NULL);
}

const cpn_route cpn_routes_documents[] = {
    { "GET", "/v1/documents", CPN_SCOPE_EACH, "*/read", CPN_BODY_NONE, 0, NULL, CPN_ERRORS_API,
      documents_list },
    { "GET", "/v1/document", CPN_SCOPE_EACH, "*/read", CPN_BODY_NONE, 0, NULL, CPN_ERRORS_API,
      document_show },
    { 0 },
};

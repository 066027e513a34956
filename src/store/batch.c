/* Collects the changes of one batch, with copies of everything the caller only lent. */
#include <stdlib.h>

#include "store/store_driver.h"

cpn_batch *
cpn_batch_new(void)
{
    cpn_batch *b = cpn_xcalloc(1, sizeof(*b));

    b->last = &b->first;
    return b;
}

void
cpn_batch_free(cpn_batch *b)
{
    if (!b)
        return;
    for (cpn_op *op = b->first, *next; op; op = next) {
        next = op->next;
        free(op);
    }
    free(b);
}

static const char *
copy_text(char **at, const char *text)
{
    size_t n = text ? strlen(text) + 1 : 0;
    char *copy = *at;

    if (!text)
        return NULL;
    memcpy(copy, text, n);
    *at += n;
    return copy;
}

/* A change with its texts behind it in one piece of memory. */
static cpn_op *
add(cpn_batch *b, cpn_op_kind what, const char *kind, const char *id, cpn_view body)
{
    size_t kind_n = kind ? strlen(kind) + 1 : 0, id_n = id ? strlen(id) + 1 : 0;
    cpn_op *op;
    char *at;

    if (body.n > SIZE_MAX / 2 || kind_n > SIZE_MAX / 8 || id_n > SIZE_MAX / 8)
        abort();
    op = cpn_xcalloc(1, sizeof(*op) + kind_n + id_n + body.n + 1);
    at = (char *)(op + 1);
    op->op = what;
    op->kind = copy_text(&at, kind);
    op->id = copy_text(&at, id);
    if (body.n)
        memcpy(at, body.p, body.n);
    op->body = (cpn_view){ body.p ? (const uint8_t *)at : NULL, body.n };
    *b->last = op;
    b->last = &op->next;
    return op;
}

static const cpn_view nothing = { NULL, 0 };

void
cpn_batch_put(cpn_batch *b, const char *kind, const char *id, cpn_view body)
{
    add(b, CPN_OP_PUT, kind, id, body);
}

void
cpn_batch_delete(cpn_batch *b, const char *kind, const char *id)
{
    add(b, CPN_OP_DELETE, kind, id, nothing);
}

void
cpn_batch_expect_value(cpn_batch *b, const char *name, const char *value)
{
    add(b, CPN_OP_EXPECT, NULL, name, value ? cpn_view_str(value) : nothing);
}

void
cpn_batch_value(cpn_batch *b, const char *name, cpn_view value)
{
    add(b, CPN_OP_VALUE, NULL, name, value);
}

void
cpn_batch_session_start(cpn_batch *b, const cpn_uuid *id, cpn_view body)
{
    char text[CPN_UUID_TEXT];

    add(b, CPN_OP_SESSION_START, NULL, cpn_uuid_text(id, text), body);
}

void
cpn_batch_session_end(cpn_batch *b, const cpn_uuid *id, cpn_view body)
{
    char text[CPN_UUID_TEXT];

    add(b, CPN_OP_SESSION_END, NULL, cpn_uuid_text(id, text), body);
}

void
cpn_batch_sessions_prune(cpn_batch *b, int64_t before_ms)
{
    add(b, CPN_OP_SESSIONS_PRUNE, NULL, NULL, nothing)->expires_ms = before_ms;
}

void
cpn_batch_may_wait(cpn_batch *b)
{
    b->may_wait = true;
}

void
cpn_batch_audit(cpn_batch *b, cpn_view body)
{
    add(b, CPN_OP_AUDIT, NULL, NULL, body);
}

void
cpn_batch_ticket(cpn_batch *b, const uint8_t key[32], cpn_view body, int64_t life_ms)
{
    cpn_op *op = add(b, CPN_OP_TICKET, NULL, NULL, body);

    memcpy(op->key, key, sizeof(op->key));
    op->life_ms = life_ms;
}

void
cpn_batch_secret_put(cpn_batch *b, const char *kind, const uint8_t key[32], cpn_view body,
                     int64_t expires_ms)
{
    cpn_op *op = add(b, CPN_OP_SECRET_PUT, kind, NULL, body);

    memcpy(op->key, key, sizeof(op->key));
    op->expires_ms = expires_ms;
}

void
cpn_batch_secret_delete(cpn_batch *b, const char *kind, const uint8_t key[32])
{
    cpn_op *op = add(b, CPN_OP_SECRET_DELETE, kind, NULL, nothing);

    memcpy(op->key, key, sizeof(op->key));
}

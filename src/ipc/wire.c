/* One encoder, decoder and permit list for every message, generated from messages.def. */
#include "ipc/wire.h"

typedef enum kind { KIND_U8, KIND_U16, KIND_U32, KIND_U64, KIND_B16, KIND_BYTES } kind;

/* A type of the table as the two arguments (kind, maximum). */
#define AS_U8 KIND_U8, 0
#define AS_U16 KIND_U16, 0
#define AS_U32 KIND_U32, 0
#define AS_U64 KIND_U64, 0
#define AS_UUID KIND_B16, 0
#define AS_ADDR KIND_B16, 0
#define AS_BYTES(max) KIND_BYTES, max

#define FROM_KEEPER CPN_ROLE_KEEPER
#define FROM_CONTROL CPN_ROLE_CONTROL
#define FROM_FRONT CPN_ROLE_FRONT
#define FD_NONE CPN_MSG_FD_NONE
#define FD_ONE CPN_MSG_FD_ONE
#define FD_MAYBE CPN_MSG_FD_MAYBE

static const struct row {
    cpn_msg_type type;
    const char *name;
    cpn_role from;
    cpn_role to;
    cpn_msg_fd fds;
} rows[] = {
#define CPN_MSG(name, number, from, to, fd) { CPN_MSG_##name, #name, FROM_##from, FROM_##to, fd },
#include "ipc/messages.def"
};

static const struct row *
row_of(unsigned number)
{
    for (size_t i = 0; i < CPN_COUNT(rows); i++)
        if ((unsigned)rows[i].type == number)
            return &rows[i];
    return NULL;
}

const char *
cpn_msg_name(cpn_msg_type type)
{
    const struct row *r = row_of(type);

    return r ? r->name : "?";
}

bool
cpn_msg_permitted(cpn_msg_type type, cpn_role from, cpn_role to)
{
    const struct row *r = row_of(type);

    return r && r->from == from && r->to == to;
}

cpn_msg_fd
cpn_msg_fds(cpn_msg_type type)
{
    const struct row *r = row_of(type);

    return r ? r->fds : CPN_MSG_FD_NONE;
}

const char *
cpn_role_name(cpn_role role)
{
    static const char *const names[] = { "none", "keeper", "control", "front" };

    return (unsigned)role < CPN_COUNT(names) ? names[role] : "none";
}

/* ---- writing -------------------------------------------------------------------------------- */

typedef struct writer {
    uint8_t *p;
    size_t left;
    const char *bad; /* the field that did not fit */
} writer;

static void
put_bytes(writer *w, const void *p, size_t n)
{
    if (w->bad || n > w->left) {
        w->bad = w->bad ? w->bad : "length";
        return;
    }
    if (n)
        memcpy(w->p, p, n);
    w->p += n;
    w->left -= n;
}

static void
put_uint(writer *w, uint64_t v, size_t n)
{
    uint8_t le[8];

    for (size_t i = 0; i < n; i++)
        le[i] = (uint8_t)(v >> (8 * i));
    put_bytes(w, le, n);
}

static void
put(writer *w, const char *field, kind k, size_t max, const void *from)
{
    const cpn_view *v = from;

    switch (k) {
    case KIND_U8:
        put_uint(w, *(const uint8_t *)from, 1);
        return;
    case KIND_U16:
        put_uint(w, *(const uint16_t *)from, 2);
        return;
    case KIND_U32:
        put_uint(w, *(const uint32_t *)from, 4);
        return;
    case KIND_U64:
        put_uint(w, *(const uint64_t *)from, 8);
        return;
    case KIND_B16:
        put_bytes(w, from, 16);
        return;
    case KIND_BYTES:
        if (v->n > max && !w->bad)
            w->bad = field;
        put_uint(w, v->n, 4);
        put_bytes(w, v->p, v->n);
        return;
    }
}

#define CPN_MSG(name, number, from, to, fd)                                                        \
    static void encode_##name(writer *w, const cpn_msg_##name *m)                                  \
    {                                                                                              \
        (void)w;                                                                                   \
        (void)m;
#define CPN_FIELD(type, name) put(w, #name, AS_##type, &m->name);
#define CPN_END }
#include "ipc/messages.def"

cpn_rc
cpn_msg_encode(const cpn_msg *msg, uint8_t *out, size_t size, size_t *n, cpn_err *err)
{
    writer w = { .p = out, .left = size };

    put_uint(&w, (uint64_t)msg->type, 2);
    switch (msg->type) {
#define CPN_MSG(name, number, from, to, fd)                                                        \
    case CPN_MSG_##name:                                                                           \
        encode_##name(&w, &msg->name);                                                             \
        break;
#include "ipc/messages.def"
    case CPN_MSG_NONE:
        w.bad = "type";
        break;
    }
    if (w.bad)
        return cpn_fail(err, CPN_E_PROTO, "message %s: %s is over its bound",
                        cpn_msg_name(msg->type), w.bad);
    *n = size - w.left;
    return CPN_OK;
}

/* ---- reading -------------------------------------------------------------------------------- */

typedef struct reader {
    const uint8_t *p;
    size_t left;
    const char *bad;
} reader;

static const uint8_t *
take(reader *r, const char *field, size_t n)
{
    const uint8_t *at = r->p;

    if (r->bad || n > r->left) {
        r->bad = r->bad ? r->bad : field;
        return NULL;
    }
    r->p += n;
    r->left -= n;
    return at;
}

static uint64_t
get_uint(reader *r, const char *field, size_t n)
{
    const uint8_t *p = take(r, field, n);
    uint64_t v = 0;

    for (size_t i = 0; p && i < n; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static void
get_view(reader *r, const char *field, size_t max, cpn_view *to)
{
    size_t n = (size_t)get_uint(r, field, 4);

    if (n > max && !r->bad)
        r->bad = field;
    to->p = take(r, field, n);
    to->n = to->p ? n : 0;
}

static void
get(reader *r, const char *field, kind k, size_t max, void *to)
{
    const uint8_t *p;

    switch (k) {
    case KIND_U8:
        *(uint8_t *)to = (uint8_t)get_uint(r, field, 1);
        return;
    case KIND_U16:
        *(uint16_t *)to = (uint16_t)get_uint(r, field, 2);
        return;
    case KIND_U32:
        *(uint32_t *)to = (uint32_t)get_uint(r, field, 4);
        return;
    case KIND_U64:
        *(uint64_t *)to = get_uint(r, field, 8);
        return;
    case KIND_B16:
        if ((p = take(r, field, 16)))
            memcpy(to, p, 16);
        return;
    case KIND_BYTES:
        get_view(r, field, max, to);
        return;
    }
}

#define CPN_MSG(name, number, from, to, fd)                                                        \
    static void decode_##name(reader *r, cpn_msg_##name *m)                                        \
    {                                                                                              \
        (void)r;                                                                                   \
        (void)m;
#define CPN_FIELD(type, name) get(r, #name, AS_##type, &m->name);
#define CPN_END }
#include "ipc/messages.def"

static void
decode_fields(reader *r, cpn_msg *out)
{
    switch (out->type) {
#define CPN_MSG(name, number, from, to, fd)                                                        \
    case CPN_MSG_##name:                                                                           \
        decode_##name(r, &out->name);                                                              \
        break;
#include "ipc/messages.def"
    case CPN_MSG_NONE:
        r->bad = "type";
        break;
    }
}

cpn_rc
cpn_msg_decode(cpn_msg *out, cpn_view packet, cpn_err *err)
{
    reader r = { .p = packet.p, .left = packet.n };
    unsigned number = (unsigned)get_uint(&r, "type", 2);
    const struct row *row = row_of(number);

    memset(out, 0, sizeof(*out));
    if (r.bad || !row)
        return cpn_fail(err, CPN_E_PROTO, "unknown message %u of %zu bytes", number, packet.n);
    out->type = row->type;
    decode_fields(&r, out);
    if (r.bad)
        return cpn_fail(err, CPN_E_PROTO, "message %s: %s is too short or over its bound",
                        row->name, r.bad);
    if (r.left)
        return cpn_fail(err, CPN_E_PROTO, "message %s: %zu bytes too many", row->name, r.left);
    return CPN_OK;
}

/* Reads and writes the data types of the SSH protocol. */
#include "codec/sshwire.h"

static cpn_view
take(cpn_sshwire *w, size_t n)
{
    cpn_view v = { w->rest.p, n };

    if (w->bad || w->rest.n < n) {
        *w = (cpn_sshwire){ .bad = true };
        return (cpn_view){ 0 };
    }
    w->rest = cpn_view_skip(w->rest, n);
    return v;
}

static uint64_t
number(cpn_sshwire *w, size_t bytes)
{
    cpn_view v = take(w, bytes);
    uint64_t value = 0;

    for (size_t i = 0; i < v.n; i++)
        value = value << 8 | v.p[i];
    return value;
}

uint8_t
cpn_sshwire_u8(cpn_sshwire *w)
{
    return (uint8_t)number(w, 1);
}

uint32_t
cpn_sshwire_u32(cpn_sshwire *w)
{
    return (uint32_t)number(w, 4);
}

uint64_t
cpn_sshwire_u64(cpn_sshwire *w)
{
    return number(w, 8);
}

cpn_view
cpn_sshwire_string(cpn_sshwire *w)
{
    return take(w, cpn_sshwire_u32(w));
}

bool
cpn_sshwire_done(const cpn_sshwire *w)
{
    return !w->bad && w->rest.n == 0;
}

cpn_rc
cpn_sshwire_put_u32(cpn_buf *out, uint32_t value)
{
    uint8_t b[4] = { (uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                     (uint8_t)value };

    return cpn_buf_append(out, (cpn_view){ b, sizeof(b) });
}

cpn_rc
cpn_sshwire_put_string(cpn_buf *out, cpn_view v)
{
    cpn_rc rc = v.n <= UINT32_MAX ? cpn_sshwire_put_u32(out, (uint32_t)v.n) : CPN_LIMIT;

    return rc == CPN_OK ? cpn_buf_append(out, v) : rc;
}

/* Addresses and prefixes from text and sockets, compared as 128 bits. */
#include "model/addr.h"

#include <arpa/inet.h>
#include <stdio.h>

static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

bool
cpn_addr_is_v4(const cpn_addr *a)
{
    return memcmp(a->b, mapped, sizeof(mapped)) == 0;
}

/* inet_pton takes 0001 and ABCD for a group; the first hides a second spelling, so it is refused.
 */
static bool
group_with_leading_zero(const char *text)
{
    for (const char *p = text; *p; p++)
        if (*p == '0' && (p == text || p[-1] == ':') && !strchr(":.", p[1]))
            return true;
    return false;
}

static bool
parse_v6(cpn_addr *out, const char *text)
{
    if (inet_pton(AF_INET6, text, out->b) != 1 || group_with_leading_zero(text))
        return false;
    /* A dotted tail is the spelling of a v4-mapped address and of nothing else. */
    return !strchr(text, '.') || cpn_addr_is_v4(out);
}

static bool
parse_v4(cpn_addr *out, const char *text)
{
    memcpy(out->b, mapped, sizeof(mapped));
    return inet_pton(AF_INET, text, out->b + sizeof(mapped)) == 1;
}

cpn_rc
cpn_addr_parse(cpn_addr *out, cpn_view text, cpn_err *err)
{
    char s[CPN_ADDR_TEXT];
    cpn_addr a;

    if (!cpn_view_copy(text, s, sizeof(s)))
        return cpn_fail(err, CPN_INVALID, "not a numeric address (too long, or a NUL in it)");
    if (!(strchr(s, ':') ? parse_v6(&a, s) : parse_v4(&a, s)))
        return cpn_fail(err, CPN_INVALID, "'%s' is not a plain numeric address", s);
    *out = a;
    return CPN_OK;
}

static void
clear_host_bits(cpn_addr *a, unsigned len)
{
    for (unsigned i = 0; i < 16; i++) {
        unsigned kept = len <= i * 8 ? 0 : CPN_MIN(len - i * 8, 8u);
        a->b[i] &= (uint8_t)(0xff00u >> kept);
    }
}

cpn_rc
cpn_prefix_parse(cpn_prefix *out, cpn_view text, cpn_err *err)
{
    cpn_view head, tail;
    cpn_prefix p;
    cpn_addr bare;
    uint64_t len;
    cpn_rc rc;
    bool dotted;

    if (!cpn_view_cut(text, '/', &head, &tail))
        return cpn_fail(err, CPN_INVALID, "a prefix is written ADDRESS/LENGTH");
    if ((rc = cpn_addr_parse(&p.addr, head, err)) != CPN_OK)
        return rc;
    dotted = memchr(head.p, ':', head.n) == NULL;
    if (!cpn_view_u64(tail, dotted ? 32 : 128, &len))
        return cpn_fail(err, CPN_INVALID, "the length of a prefix is 0 to %d", dotted ? 32 : 128);
    p.len = (uint8_t)(dotted ? len + 96 : len);
    bare = p.addr;
    clear_host_bits(&bare, p.len);
    if (!cpn_addr_eq(&bare, &p.addr)) {
        char shown[CPN_ADDR_TEXT];
        return cpn_fail(err, CPN_INVALID, "'%.*s' has bits set behind its length (expected %s)",
                        (int)CPN_MIN(text.n, (size_t)CPN_ADDR_TEXT), (const char *)text.p,
                        cpn_prefix_text(&(cpn_prefix){ bare, p.len }, shown));
    }
    *out = p;
    return CPN_OK;
}

const char *
cpn_addr_text(const cpn_addr *a, char out[CPN_ADDR_TEXT])
{
    const char *s = cpn_addr_is_v4(a) ? inet_ntop(AF_INET, a->b + 12, out, CPN_ADDR_TEXT)
                                      : inet_ntop(AF_INET6, a->b, out, CPN_ADDR_TEXT);

    return s ? s : "";
}

const char *
cpn_prefix_text(const cpn_prefix *p, char out[CPN_ADDR_TEXT])
{
    char addr[CPN_ADDR_TEXT];
    bool v4 = cpn_addr_is_v4(&p->addr) && p->len >= 96;

    cpn_addr_text(&p->addr, addr);
    snprintf(out, CPN_ADDR_TEXT, "%.50s/%d", addr, v4 ? p->len - 96 : p->len);
    return out;
}

bool
cpn_addr_eq(const cpn_addr *a, const cpn_addr *b)
{
    return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

bool
cpn_prefix_holds(const cpn_prefix *p, const cpn_addr *a)
{
    cpn_addr cut = *a;

    /* ::/0 is all of IPv6; it never means IPv4. */
    if (cpn_addr_is_v4(&p->addr) != cpn_addr_is_v4(a))
        return false;
    clear_host_bits(&cut, p->len);
    return cpn_addr_eq(&cut, &p->addr);
}

bool
cpn_prefix_overlaps(const cpn_prefix *a, const cpn_prefix *b)
{
    return a->len <= b->len ? cpn_prefix_holds(a, &b->addr) : cpn_prefix_holds(b, &a->addr);
}

socklen_t
cpn_addr_to_sockaddr(const cpn_addr *a, uint16_t port, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof(*out));
    if (cpn_addr_is_v4(a)) {
        struct sockaddr_in *in = (struct sockaddr_in *)out;
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        memcpy(&in->sin_addr, a->b + 12, 4);
        return sizeof(*in);
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(port);
    memcpy(&in6->sin6_addr, a->b, 16);
    return sizeof(*in6);
}

bool
cpn_addr_from_sockaddr(cpn_addr *out, uint16_t *port, const struct sockaddr *sa)
{
    if (sa->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)sa;
        memcpy(out->b, mapped, sizeof(mapped));
        memcpy(out->b + 12, &in->sin_addr, 4);
        *port = ntohs(in->sin_port);
        return true;
    }
    if (sa->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)sa;
        memcpy(out->b, &in6->sin6_addr, 16);
        *port = ntohs(in6->sin6_port);
        return true;
    }
    return false;
}

cpn_rc
cpn_addr_port_parse(cpn_addr *out, uint16_t *port, cpn_view text, cpn_err *err)
{
    const uint8_t *colon = text.n ? memrchr(text.p, ':', text.n) : NULL;
    cpn_view host, number;
    uint64_t n;
    cpn_rc rc;
    bool bracketed;

    if (!colon)
        return cpn_fail(err, CPN_INVALID, "expected ADDRESS:PORT, or [ADDRESS]:PORT for IPv6");
    host = (cpn_view){ text.p, (size_t)(colon - text.p) };
    number = cpn_view_skip(text, host.n + 1);
    bracketed = host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
    if (bracketed)
        host = (cpn_view){ host.p + 1, host.n - 2 };
    if (bracketed != (memchr(host.p, ':', host.n) != NULL))
        return cpn_fail(err, CPN_INVALID, "expected ADDRESS:PORT, or [ADDRESS]:PORT for IPv6");
    if ((rc = cpn_addr_parse(out, host, err)) != CPN_OK)
        return rc;
    if (!cpn_view_u64(number, UINT16_MAX, &n))
        return cpn_fail(err, CPN_INVALID, "a port is a number from 0 to 65535");
    *port = (uint16_t)n;
    return CPN_OK;
}

const char *
cpn_addr_port_text(const cpn_addr *a, uint16_t port, char out[CPN_ADDR_TEXT])
{
    char addr[CPN_ADDR_TEXT];

    cpn_addr_text(a, addr);
    snprintf(out, CPN_ADDR_TEXT, cpn_addr_is_v4(a) ? "%.50s:%u" : "[%.50s]:%u", addr, port);
    return out;
}

bool
cpn_addr_is_loopback(const cpn_addr *a)
{
    static const cpn_addr one = { { [15] = 1 } };

    return cpn_addr_is_v4(a) ? a->b[12] == 127 : cpn_addr_eq(a, &one);
}

cpn_addr
cpn_addr_source(const cpn_addr *a)
{
    cpn_addr source = *a;

    if (!cpn_addr_is_v4(a))
        memset(source.b + 7, 0, sizeof(source.b) - 7);
    return source;
}

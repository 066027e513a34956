/* model/addr.h -- numeric addresses and prefixes, always binary, never text after the edge.
 *
 * IPv4 is kept as v4-mapped (::ffff:a.b.c.d), so that one comparison serves both families and no
 * second spelling of an address exists. */
#ifndef CPN_MODEL_ADDR_H
#define CPN_MODEL_ADDR_H

#include <netinet/in.h>

#include "base/err.h"
#include "base/view.h"

#define CPN_ADDR_TEXT 64

typedef struct cpn_addr {
    uint8_t b[16];
} cpn_addr;

typedef struct cpn_prefix {
    cpn_addr addr; /* host bits are zero */
    uint8_t len;   /* 0..128, counted in the 128-bit form: 10.0.0.0/8 has 104 */
} cpn_prefix;

/* Canonical numeric text only (inet_pton, no zone id, no leading zeros). v4-mapped IPv6 text is
 * normalised; a dotted tail in any other IPv6 text is refused. CPN_INVALID otherwise. */
cpn_rc cpn_addr_parse(cpn_addr *out, cpn_view text, cpn_err *err) CPN_MUST_CHECK;
/* "10.0.0.0/24"; host bits set => CPN_INVALID. */
cpn_rc cpn_prefix_parse(cpn_prefix *out, cpn_view text, cpn_err *err) CPN_MUST_CHECK;
const char *cpn_addr_text(const cpn_addr *a, char out[CPN_ADDR_TEXT]);
const char *cpn_prefix_text(const cpn_prefix *p, char out[CPN_ADDR_TEXT]);
bool cpn_addr_eq(const cpn_addr *a, const cpn_addr *b);
bool cpn_addr_is_v4(const cpn_addr *a);
/* What counts as one source: a home or an office has one IPv4 address, or one IPv6 /56. */
cpn_addr cpn_addr_source(const cpn_addr *a);
/* A prefix of one family never holds or overlaps the other: ::/0 is not 0.0.0.0/0. */
bool cpn_prefix_holds(const cpn_prefix *p, const cpn_addr *a);
bool cpn_prefix_overlaps(const cpn_prefix *a, const cpn_prefix *b);
/* To and from sockets. The result's length is returned. */
socklen_t cpn_addr_to_sockaddr(const cpn_addr *a, uint16_t port, struct sockaddr_storage *out);
bool cpn_addr_from_sockaddr(cpn_addr *out, uint16_t *port, const struct sockaddr *sa);
/* 127/8 and ::1. */
bool cpn_addr_is_loopback(const cpn_addr *a);
/* "127.0.0.1:8443" and "[::1]:8443". CPN_INVALID otherwise. */
cpn_rc cpn_addr_port_parse(cpn_addr *out, uint16_t *port, cpn_view text,
                           cpn_err *err) CPN_MUST_CHECK;
const char *cpn_addr_port_text(const cpn_addr *a, uint16_t port, char out[CPN_ADDR_TEXT]);

#endif

/* front/plain.h -- plain TCP for a connection of admin_listen, with the shape of net/tls.h. */
#ifndef CPN_FRONT_PLAIN_H
#define CPN_FRONT_PLAIN_H

#include "base/buf.h"
#include "net/loop.h"

/* Bytes that may wait unconsumed: a head and a little more. */
#define CPN_PLAIN_IN_MAX 32768u

typedef struct cpn_plain cpn_plain;
typedef struct cpn_conn cpn_conn;

/* fd is taken, also on failure. Events go to cpn_conn_on_bytes, _on_room and _on_end. */
cpn_rc cpn_plain_new(cpn_plain **out, cpn_loop *loop, CPN_TAKES int fd, cpn_conn *c,
                     cpn_err *err) CPN_MUST_CHECK;
/* Freed when the loop has run once more; nothing is called any more. NULL is fine. */
void cpn_plain_free(cpn_plain *p);
void cpn_plain_pause(cpn_plain *p, bool paused);
/* How many bytes the kernel took; fewer than n: on_room comes. */
size_t cpn_plain_write(cpn_plain *p, const uint8_t *b, size_t n);
void cpn_plain_shutdown(cpn_plain *p);

#endif

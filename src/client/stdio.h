/* client/stdio.h -- joins two descriptors of any kind (pipe, terminal, file, socket) to one socket:
 * what `connect` has for standard input and output, and what the tunnel relays.
 *
 * Bytes are copied with at most 64 KiB held each way. The end of the input becomes shutdown of the
 * socket's write side; the end of the socket closes the output, and the input goes on. Flags of the
 * descriptors, which other programs may share, stay as they are. */
#ifndef CPN_CLIENT_STDIO_H
#define CPN_CLIENT_STDIO_H

#include <stdbool.h>
#include <uv.h>

#include "base/err.h"

typedef struct cpn_stdio cpn_stdio;
/* After cpn_stdio_over, when everything that came from the socket is written; or, with complete
 * false, when the output takes nothing any more. The last call. */
typedef void cpn_stdio_done(void *owner, bool complete);

/* *sock is the other end, non-blocking, the caller's. in and out are borrowed; out is closed for
 * its reader when the socket has ended. */
cpn_rc cpn_stdio_new(cpn_stdio **out_io, uv_loop_t *uv, int in, int out, int *sock,
                     cpn_stdio_done *done, void *owner, cpn_err *err) CPN_MUST_CHECK;
/* Nobody is at the other end any more: what the socket still holds is the last. */
void cpn_stdio_over(cpn_stdio *io);
/* Stop; memory goes with the loop's next turn. done is not called. NULL is fine. */
void cpn_stdio_free(cpn_stdio *io);

#endif

/* client/ready.h -- says that a tunnel listens: to a person, to a script, to whoever holds the
 * other end of a descriptor. */
#ifndef CPN_CLIENT_READY_H
#define CPN_CLIENT_READY_H

#include "client/ctlsock.h"

/* On stdout, flushed, one line an inlet: json {"event":"ready", …}, tsv the port or path, table a
 * sentence and how to go on. id: of the tunnel, empty when it is not listed. */
cpn_rc cpn_ready_tell(const cpn_cli *cli, const cpn_inlet *in, unsigned n, const char *id,
                      bool detached, cpn_err *err) CPN_MUST_CHECK;
/* The descriptor that --ready-fd names; -1 without it. No program that we start inherits it.
 * CPN_INVALID: not open, not for writing, or one of 0 to 2. Before anything else is opened. */
cpn_rc cpn_ready_fd(const cpn_cli *cli, int *out, cpn_err *err) CPN_MUST_CHECK;
/* Where the inlets listen on one line, a tab between them; then close it. Nobody there to read it
 * is no failure, and nobody waits for a pipe that is full. */
void cpn_ready_write(CPN_TAKES int fd, const cpn_inlet *in, unsigned n);

#endif

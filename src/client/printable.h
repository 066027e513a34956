/* client/printable.h -- text from elsewhere on its way to a terminal.
 *
 * Control bytes (C0, DEL, C1), bidirectional overrides, invisible code points and broken UTF-8 are
 * written as \xNN or \uNNNN, so that no server, file or machine name can move the cursor, hide text
 * or turn it around. */
#ifndef CPN_CLIENT_PRINTABLE_H
#define CPN_CLIENT_PRINTABLE_H

#include "base/buf.h"

/* Append in, made printable. CPN_LIMIT, CPN_E_NOMEM: no room. */
cpn_rc cpn_printable_put(cpn_buf *out, cpn_view in) CPN_MUST_CHECK;
/* Columns that printable text takes: one a code point. */
size_t cpn_printable_width(cpn_view printable);
/* Called before each line on stderr that follows: to erase what stands there, or to put something
 * in front. NULL: nothing more. */
void cpn_say_before(void (*hook)(void *arg), void *arg);
/* One line on stderr, "caponier: " in front, made printable, at most 4 KiB. */
void cpn_say(const char *fmt, ...) CPN_PRINTF(1, 2);
/* The same without the name in front. One line too: nothing that a gateway says begins another. */
void cpn_say_plain(const char *fmt, ...) CPN_PRINTF(1, 2);

#endif

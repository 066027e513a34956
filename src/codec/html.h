/* codec/html.h -- text for HTML. */
#ifndef CPN_CODEC_HTML_H
#define CPN_CODEC_HTML_H

#include "base/buf.h"

/* Append text so that it means itself between tags and inside quoted attributes: & < > " ' become
 * references; control bytes, and whatever is no UTF-8, become U+FFFD, so does what turns the
 * direction of text (U+202A–202E, U+2066–2069, U+200E, U+200F, U+061C) or is not seen (U+200B–200D,
 * U+2028, U+2029, U+FEFF). CPN_LIMIT, CPN_E_NOMEM: no room; out holds what it held. */
cpn_rc cpn_html_put(cpn_buf *out, cpn_view text) CPN_MUST_CHECK;

#endif

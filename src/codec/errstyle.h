/* codec/errstyle.h -- in whose words an error is said: of a path, known to control or not. */
#ifndef CPN_CODEC_ERRSTYLE_H
#define CPN_CODEC_ERRSTYLE_H

#include "base/view.h"

typedef enum cpn_error_style {
    CPN_ERRORS_API = 0, /* {"error":{"code","message"}}                    */
    CPN_ERRORS_AZ,      /* {"message"}: the Azure door                     */
    CPN_ERRORS_ARM,     /* {"error":{"code","message"}} with Azure's codes */
    CPN_ERRORS_GRAPH,   /* {"error":{"code","message"}}: the directory     */
    CPN_ERRORS_OAUTH,   /* {"error","error_description"}: RFC 6749 5.2     */
    CPN_ERRORS_PAGE,    /* a page for people: page.h                       */
    CPN_ERRORS_TEXT     /* one line: operator routes                       */
} cpn_error_style;

/* Of a path without a row in the table of routes, or of which no more is known yet: as those of its
 * neighbours. The path has no query; case does not count. */
cpn_error_style cpn_errors_at(cpn_view path);

#endif

/* codec/httptarget.h -- is a request target one that has a single meaning? Part of httphead. */
#ifndef CPN_CODEC_HTTPTARGET_H
#define CPN_CODEC_HTTPTARGET_H

#include "base/err.h"
#include "base/view.h"

/* Check an origin-form target and cut it at '?'; query->p is NULL without one. CPN_INVALID: by the
 * rules in httphead.h. */
cpn_rc cpn_http_target_check(cpn_view target, cpn_view *path, cpn_view *query,
                             cpn_err *err) CPN_MUST_CHECK;
/* A Host value: a name or IPv4 address of letters, digits, '-', '.' and '_', or an IPv6 address in
 * brackets; then ":port" if any. */
bool cpn_http_host_valid(cpn_view host);

#endif

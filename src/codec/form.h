/* codec/form.h -- application/x-www-form-urlencoded, read strictly; also for query strings. */
#ifndef CPN_CODEC_FORM_H
#define CPN_CODEC_FORM_H

#include "base/buf.h"

#define CPN_FORM_MAX 32 /* fields */

typedef struct cpn_form_field {
    cpn_view name;
    cpn_view value;
} cpn_form_field;

/* Views point into the parsed body. */
typedef struct cpn_form {
    cpn_form_field field[CPN_FORM_MAX];
    unsigned fields;
} cpn_form;

/* Read a form and decode it in place, so that a secret in it has no second copy: body changes and
 * must outlive out; wipe it after use. An empty body is a form without fields. CPN_INVALID: more
 * than CPN_FORM_MAX fields, a name twice, an empty name, no '=', a bad percent, a NUL (plain or
 * encoded), a control byte or a non-ASCII byte that is not encoded. */
cpn_rc cpn_form_parse(uint8_t *body, size_t n, cpn_form *out, cpn_err *err) CPN_MUST_CHECK;
/* p is NULL when there is no such field; an empty value has p. */
cpn_view cpn_form_get(const cpn_form *f, const char *name);
/* Append "name=value", with '&' in front unless out is empty. CPN_LIMIT, CPN_E_NOMEM: no room. */
cpn_rc cpn_form_put(cpn_buf *out, const char *name, cpn_view value) CPN_MUST_CHECK;

#endif

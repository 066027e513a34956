/* codec/odata.h -- the $filter of list calls, as far as Azure's clients write one: clauses joined
 * by " and ", each one of
 *
 *     roleName eq 'Reader'                    field and text
 *     atScope()                               a function without text
 *     assignedTo('GUID')                      a function of a text
 *     startswith(displayName,'we')            what the field begins with
 *     servicePrincipalNames/any(c:c eq 'x')   one of the field's texts
 *
 * In a text '' stands for one apostrophe (OData 4.01, ABNF SQUOTE-in-string). Spaces count: one
 * where one is shown, one or none behind a comma. */
#ifndef CPN_CODEC_ODATA_H
#define CPN_CODEC_ODATA_H

#include "base/err.h"
#include "base/view.h"

#define CPN_ODATA_MAX 4         /* clauses */
#define CPN_ODATA_TEXT_SIZE 512 /* of a text, with its end */

typedef enum cpn_odata_op {
    CPN_ODATA_EQ = 1,
    CPN_ODATA_CALL, /* atScope()        */
    CPN_ODATA_OF,   /* assignedTo('x')  */
    CPN_ODATA_STARTS,
    CPN_ODATA_ANY
} cpn_odata_op;

typedef struct cpn_odata_clause {
    cpn_odata_op op;
    cpn_view name; /* of the field or function; points into what was parsed */
    char text[CPN_ODATA_TEXT_SIZE];
} cpn_odata_clause;

typedef struct cpn_odata {
    unsigned n;
    cpn_odata_clause clause[CPN_ODATA_MAX];
} cpn_odata;

/* An empty filter has no clauses. CPN_INVALID: anything else than the forms above, a text or a
 * filter that is too long, a NUL; the sentence says where. */
cpn_rc cpn_odata_parse(cpn_view in, cpn_odata *out, cpn_err *err) CPN_MUST_CHECK;

#endif

/* client/out.h -- results on stdout: json (everything the gateway said), table or tsv (the columns
 * that a command names). */
#ifndef CPN_CLIENT_OUT_H
#define CPN_CLIENT_OUT_H

#include <jansson.h>

#include "base/buf.h"
#include "client/cli.h"

typedef struct cpn_column {
    const char *title; /* NULL ends a list */
    const char *key;   /* of the row object; "a.b" reaches into an object */
} cpn_column;

/* answer is [objects] or {"value":[objects], …}: json prints all of it, the others the rows. Each
 * cell is made printable, so that it never holds a tab or newline. */
cpn_rc cpn_out_rows(cpn_cli *cli, const json_t *answer, const cpn_column *columns,
                    cpn_err *err) CPN_MUST_CHECK;
/* One object: json as an object, table as "title  value" lines, tsv as one row. */
cpn_rc cpn_out_object(cpn_cli *cli, const json_t *object, const cpn_column *columns,
                      cpn_err *err) CPN_MUST_CHECK;
/* One line of JSON on stdout, flushed: events that another program waits for. */
cpn_rc cpn_out_event(const json_t *event, cpn_err *err) CPN_MUST_CHECK;
/* The text of a cell: strings as they are, numbers, true and false, arrays joined by ", "; absent
 * and null are empty. CPN_LIMIT, CPN_E_NOMEM: no room. */
cpn_rc cpn_out_cell(cpn_buf *out, const json_t *row, const char *key) CPN_MUST_CHECK;
/* Append JSON text of ASCII only, indented by two; none of its bytes is a control byte but the
 * newlines. */
cpn_rc cpn_out_json(cpn_buf *out, const json_t *value, bool indent) CPN_MUST_CHECK;

#endif

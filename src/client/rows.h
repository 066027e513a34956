/* client/rows.h -- documents of the gateway as rows that people read. */
#ifndef CPN_CLIENT_ROWS_H
#define CPN_CLIENT_ROWS_H

#include "client/api.h"

/* A document as {"id", "name", "resourceGroup", "subscriptionId", …its body}. New reference. */
json_t *cpn_row(const json_t *document);
/* GET the documents of a kind as an array of rows. */
cpn_rc cpn_rows(cpn_api *a, const char *kind, const char *name, json_t **out,
                cpn_err *err) CPN_MUST_CHECK;
/* The subscriptions that the caller may see, and those that hold what he may see: rows with
 * "subscriptionId" and, where known, "displayName". */
cpn_rc cpn_rows_subscriptions(cpn_api *a, json_t **out, cpn_err *err) CPN_MUST_CHECK;
/* The one document of a kind that a short name or an id means, within a resource group when group
 * is not NULL. CPN_NOT_FOUND; CPN_EXISTS: several. */
cpn_rc cpn_row_find(cpn_api *a, const char *kind, const char *name, const char *group, json_t **out,
                    cpn_err *err) CPN_MUST_CHECK;
/* The row of `rows` whose key has this text (without case); borrowed, NULL: none. */
const json_t *cpn_row_where(const json_t *rows, const char *key, const char *text);
/* Keep only rows whose key has this text (without case); text NULL keeps all. */
void cpn_rows_keep(json_t *rows, const char *key, const char *text);

#endif

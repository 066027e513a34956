/* client/contexts.h -- who is signed in at which gateway: contexts.json in
 * ${XDG_CONFIG_HOME:-~/.config}/caponier/.
 *
 * The folder is 0700 and the file 0600, both of the user alone: a symlink, another owner, a wider
 * mode, another kind of file and more than CPN_CONTEXTS_BYTES are refused, never mended. Writing
 * holds a lock on the folder and replaces the file by rename. */
#ifndef CPN_CLIENT_CONTEXTS_H
#define CPN_CLIENT_CONTEXTS_H

#include <jansson.h>

#include "base/err.h"
#include "base/secret.h"

#define CPN_CONTEXTS_BYTES 262144
#define CPN_CONTEXTS_MAX 64 /* gateways */

/* One gateway's context; strings are owned, NULL when absent. */
typedef struct cpn_context {
    char *gateway; /* "https://host:port" */
    char *ca;      /* PEM file, absolute */
    char *user;
    char *object_id;
    char *subscription; /* GUID */
    cpn_secret access_token;
    cpn_secret refresh_token; /* empty for service principals */
    int64_t expires_s;        /* of the access token, Unix time */
} cpn_context;

void cpn_context_fini(cpn_context *c);

/* The folder's path into out; makes nothing. CPN_E_CONF: neither variable names one. */
cpn_rc cpn_contexts_dir(char *out, size_t size, cpn_err *err) CPN_MUST_CHECK;

/* Read the context of a gateway; gateway NULL: the one signed in to last. CPN_NOT_FOUND: there is
 * none. CPN_E_CONF: a file that is not to be trusted or not ours. */
cpn_rc cpn_contexts_get(const char *dir, const char *gateway, cpn_context *out,
                        cpn_err *err) CPN_MUST_CHECK;
/* Store it, making folder and file when there are none. current: it becomes the last one.
 * CPN_LIMIT: too many. */
cpn_rc cpn_contexts_put(const char *dir, const cpn_context *c, bool current,
                        cpn_err *err) CPN_MUST_CHECK;
/* Forget one; gateway NULL: all of them. CPN_NOT_FOUND. */
cpn_rc cpn_contexts_forget(const char *dir, const char *gateway, cpn_err *err) CPN_MUST_CHECK;

#endif

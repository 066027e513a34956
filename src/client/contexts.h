/* client/contexts.h -- who is signed in at which gateway: contexts.json in
 * ${XDG_CONFIG_HOME:-~/.config}/caponier/.
 *
 * A context is one account at one gateway, known by both names (the account's without case). The
 * first in the file is the current one: what was signed in to, or chosen, last.
 *
 * The folder is 0700 and the file 0600, both of the user alone: a symlink, another owner, a wider
 * mode, another kind of file and more than CPN_CONTEXTS_BYTES are refused, never mended. Writing
 * holds a lock on the folder and replaces the file by rename. */
#ifndef CPN_CLIENT_CONTEXTS_H
#define CPN_CLIENT_CONTEXTS_H

#include <jansson.h>

#include "base/err.h"
#include "base/secret.h"
#include "codec/proof.h"

#define CPN_CONTEXTS_BYTES 262144
#define CPN_CONTEXTS_MAX 64 /* accounts */

/* One context; strings are owned, NULL when absent. */
typedef struct cpn_context {
    char *gateway; /* "https://host:port" */
    char *ca;      /* PEM file, absolute */
    char *user;
    char *type; /* "User", "ServicePrincipal" */
    char *object_id;
    char *subscription; /* GUID */
    cpn_secret access_token;
    cpn_secret refresh_token; /* empty for service principals */
    int64_t expires_s;        /* of the access token, Unix time */
    cpn_proof_key key;        /* that both tokens are good with only; not set: none */
} cpn_context;

void cpn_context_fini(cpn_context *c);

/* The folder's path into out; makes nothing. CPN_E_CONF: neither variable names one. */
cpn_rc cpn_contexts_dir(char *out, size_t size, cpn_err *err) CPN_MUST_CHECK;

/* The path of a folder in it. */
cpn_rc cpn_contexts_folder(const char *name, char *out, size_t size, cpn_err *err) CPN_MUST_CHECK;

/* Read the first context of this gateway and account, each NULL for any. CPN_NOT_FOUND: there is
 * none. CPN_E_CONF: a file that is not to be trusted or not ours. */
cpn_rc cpn_contexts_get(const char *dir, const char *gateway, const char *user, cpn_context *out,
                        cpn_err *err) CPN_MUST_CHECK;
/* Store it. current: it becomes the current one, and folder and file are made when there are none.
 * Otherwise it takes the place that it has; CPN_NOT_FOUND: it has none, somebody has signed out.
 * CPN_LIMIT: too many. */
cpn_rc cpn_contexts_put(const char *dir, const cpn_context *c, bool current,
                        cpn_err *err) CPN_MUST_CHECK;
/* Forget one. CPN_NOT_FOUND. */
cpn_rc cpn_contexts_forget(const char *dir, const char *gateway, const char *user,
                           cpn_err *err) CPN_MUST_CHECK;
/* All of them without their tokens: an array of {"gateway", "user", "type", "objectId",
 * "subscription", "expiresOn", "current"}; empty when there is no file. */
cpn_rc cpn_contexts_list(const char *dir, json_t **out, cpn_err *err) CPN_MUST_CHECK;

#endif

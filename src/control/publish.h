/* control/publish.h -- the one way to change policy.
 *
 * Changes are a queue: each is built on the newest snapshot when its turn comes, so that two
 * writers never build on the same one; committed as one batch; and published when durable: the
 * epoch is bumped, remembered tokens are forgotten, live sessions are decided again. */
#ifndef CPN_CONTROL_PUBLISH_H
#define CPN_CONTROL_PUBLISH_H

#include "control/core.h"

#define CPN_PUBLISH_WAITING_MAX 256
#define CPN_BODY_STORED_MAX (1u << 20) /* a stored document */

typedef struct cpn_change {
    /* Put and delete through e and b alike (cpn_change_put). Any code but CPN_OK ends the change.
     */
    cpn_rc (*build)(void *owner, struct cpn_change *change, cpn_err *err);
    /* Called once. CPN_DENIED: the role was taken away meanwhile. CPN_OK: published (or, when dry,
     * would have been). CPN_INVALID: problems (may be NULL, borrowed) says all that is wrong.
     * CPN_EXISTS: another node was first. CPN_LIMIT: the store is full. The change may be freed
     * here. */
    void (*done)(void *owner, cpn_rc rc, const json_t *problems, const cpn_err *err);
    void *owner;
    /* Who asks, and since when: what cuts are measured from. The role that its route asks for is
     * asked for again when the change's turn comes. */
    struct cpn_call *call;
    bool dry;
    /* during build: */
    const cpn_snapshot *base;
    cpn_snapshot_edit *edit;
    cpn_batch *batch;
    /* publish.c: */
    struct cpn_change *prev, *next;
} cpn_change;

cpn_publish *cpn_publish_new(cpn_control *c);
void cpn_publish_free(cpn_publish *p);
/* change stays the caller's and must live until done. CPN_LIMIT: too many wait; done is not called.
 */
cpn_rc cpn_publish_ask(cpn_control *c, cpn_change *change) CPN_MUST_CHECK;

/* One document into the edit and the batch, a principal before its credential. Codes of
 * cpn_snapshot_put. A new credential, and a principal who is new, disabled, or another person at
 * the provider, end all sign-ins of that name that began before this change. */
cpn_rc cpn_change_put(cpn_change *change, const char *kind, const char *id, const json_t *body,
                      cpn_err *err) CPN_MUST_CHECK;
/* CPN_NOT_FOUND. */
cpn_rc cpn_change_delete(cpn_change *change, const char *kind, const char *id) CPN_MUST_CHECK;

/* The stored documents, checked whole, as the first snapshot. Blocking; start-up only. CPN_E_STORE,
 * or CPN_E_CONF with the first problem when the stored policy does not hold together. */
cpn_rc cpn_publish_load(cpn_snapshot **out, cpn_store *store, const cpn_config *set,
                        cpn_err *err) CPN_MUST_CHECK;

#endif

/* policy/snapshot.h -- all policy state, immutable, in memory, stamped with the policy epoch.
 *
 * Built from the stored documents (kind, id, body JSON; see docs/inventory.md for the shapes).
 * Every read (decision, list, can-i, show) is a synchronous pure function over it. A write builds a
 * new snapshot beside the old one: cpn_snapshot_edit → put/delete… → cpn_snapshot_seal, which
 * checks every reference, overlap and bound and says all that is wrong. References are counted: a
 * live session may hold the old one. Bound: resources_max documents. Not for use by two threads. */
#ifndef CPN_POLICY_SNAPSHOT_H
#define CPN_POLICY_SNAPSHOT_H

#include <jansson.h>

#include "model/addr.h"
#include "model/resource.h"
#include "policy/role.h"

typedef struct cpn_snapshot cpn_snapshot;
typedef struct cpn_snapshot_edit cpn_snapshot_edit;

#define CPN_RESOURCES_MAX 100000 /* documents, unless cpn_snapshot_edit_bounds says otherwise */
#define CPN_PROBLEMS_MAX 20

/* An edit of base (NULL: empty). Documents that do not change are shared with base. */
cpn_snapshot_edit *cpn_snapshot_edit_new(const cpn_snapshot *base);
/* The settings resources_max and fence_allow_loopback (lifts 127.0.0.0/8 and ::1 as prefixes). An
 * edit starts with its base's; without a base CPN_RESOURCES_MAX and false. Before the first put. */
void cpn_snapshot_edit_bounds(cpn_snapshot_edit *e, unsigned resources_max, bool allow_loopback);
void cpn_snapshot_edit_free(cpn_snapshot_edit *e);
/* Put or delete one document. CPN_INVALID: the body is not of its kind's shape (err: path, what,
 * expected). CPN_LIMIT: more changes than resources_max. The body is borrowed, and copied. */
cpn_rc cpn_snapshot_put(cpn_snapshot_edit *e, const char *kind, const char *id, const json_t *body,
                        cpn_err *err) CPN_MUST_CHECK;
cpn_rc cpn_snapshot_delete(cpn_snapshot_edit *e, const char *kind,
                           const char *id) CPN_MUST_CHECK; /* CPN_NOT_FOUND */
/* Check the whole and freeze it: what a document refers to and lies in exists, no two networks that
 * reach each other overlap, addresses lie in their network once, names are one principal's.
 * CPN_INVALID: *problems is a new JSON array of sentences (at most CPN_PROBLEMS_MAX), else NULL.
 * Consumes e on success only. Linear in the documents: about 25 ms for 40,000. */
cpn_rc cpn_snapshot_seal(cpn_snapshot **out, cpn_snapshot_edit *e, uint64_t epoch,
                         json_t **problems, cpn_err *err) CPN_MUST_CHECK;

cpn_snapshot *cpn_snapshot_ref(cpn_snapshot *s);
void cpn_snapshot_unref(cpn_snapshot *s); /* NULL is fine */
uint64_t cpn_snapshot_epoch(const cpn_snapshot *s);

/* Look-ups; ids compare without case. NULL when absent. */
const cpn_machine *cpn_snapshot_machine(const cpn_snapshot *s, cpn_view id);
const cpn_nic *cpn_snapshot_nic(const cpn_snapshot *s, cpn_view id);
const cpn_network *cpn_snapshot_network(const cpn_snapshot *s, cpn_view id);
const cpn_bastion *cpn_snapshot_bastion(const cpn_snapshot *s, cpn_view id);
const cpn_principal *cpn_snapshot_principal(const cpn_snapshot *s, cpn_view object_id);
/* By sign-in name (users: name; service principals: appId). */
const cpn_principal *cpn_snapshot_principal_by_name(const cpn_snapshot *s, cpn_view name);
/* A role by its name, its GUID, or the id of its definition (which may stand below a scope). */
const cpn_role_def *cpn_snapshot_role(const cpn_snapshot *s, cpn_view text);
/* Every role: the built-in ones, then those of documents in id order. */
typedef bool cpn_snapshot_role_fn(void *owner, const cpn_role_def *role,
                                  bool builtin); /* false: stop */
void cpn_snapshot_roles(const cpn_snapshot *s, cpn_snapshot_role_fn *fn, void *owner);
/* Is it one of `group`'s members, or itself? Object ids, without case. */
bool cpn_snapshot_is_member(const cpn_snapshot *s, cpn_view group, cpn_view object_id);
/* Is there a resource of that id, one that assignments may stand on? */
bool cpn_snapshot_is_scope(const cpn_snapshot *s, cpn_view id);
/* By what a provider calls somebody: its issuer and their subject there (services: client id), both
 * byte by byte. */
const cpn_principal *cpn_snapshot_principal_by_external(const cpn_snapshot *s, const char *issuer,
                                                        const char *subject);
/* The document as stored, for show and list. Borrowed. */
const json_t *cpn_snapshot_document(const cpn_snapshot *s, const char *kind, cpn_view id);
/* Its id as written; NULL when absent. Borrowed. */
const char *cpn_snapshot_id(const cpn_snapshot *s, const char *kind, cpn_view id);
/* Every document of a kind that `who` may read now (NULL: all), in id order. Principals are read by
 * rights on "/" (and each sees itself), assignments by rights on their scope, credentials by nobody
 * but NULL. */
typedef bool cpn_snapshot_each_fn(void *owner, const char *id,
                                  const json_t *body); /* false: stop */
void cpn_snapshot_each(const cpn_snapshot *s, const char *kind, const cpn_principal *who,
                       cpn_snapshot_each_fn *fn, void *owner);

#endif

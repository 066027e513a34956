/* control/assign.h -- giving and taking of role assignments: one way for every route that does it.
 *
 * Both ask publish.c for a change, write the audit record with it, and call done once; done answers
 * the call. Live sessions that the change refuses are cut by publish.c. */
#ifndef CPN_CONTROL_ASSIGN_H
#define CPN_CONTROL_ASSIGN_H

#include "control/call.h"

struct cpn_change;

/* Texts are borrowed from the call. */
typedef struct cpn_assignment {
    char id[CPN_ID_MAX + 1];
    char principal[40];      /* object id */
    const char *role;        /* name, GUID or definition id */
    const char *scope;       /* a resource's id, or "/" */
    const char *description; /* "" for none */
    bool deny;
    const json_t *max_upload; /* bytes a session, as given; NULL: as it stands; null: none */
    const json_t *max_download;
} cpn_assignment;

typedef struct cpn_assigned {
    cpn_rc rc;          /* CPN_EXISTS: these rights stand already, or the id is another's */
    const char *id;     /* as stored */
    const json_t *body; /* given, or what was taken away; NULL when it failed */
    const char *said;   /* the sentence of a failure, or NULL */
    const cpn_err *err;
} cpn_assigned;

typedef void cpn_assigned_fn(CPN_TAKES cpn_call *call, const cpn_assigned *outcome);

/* Where the id is that of the very same rights already, its description and its limits are changed,
 * as far as they are given. */
void cpn_assign(CPN_TAKES cpn_call *call, const cpn_assignment *want, cpn_assigned_fn *done);
/* status: what done will answer, for the record. CPN_NOT_FOUND. */
void cpn_unassign(CPN_TAKES cpn_call *call, const char *id, int status, cpn_assigned_fn *done);

/* Part of a change that deletes the resource of the call's path: the assignments that allow on it
 * go, too, each with its record. Denials stay, and the change fails on them. Codes of
 * cpn_change_delete. */
cpn_rc cpn_unassign_along(struct cpn_change *change, const cpn_call *call,
                          int status) CPN_MUST_CHECK;

/* The scope of an assignment, from its id: "/" for one that holds everywhere. */
cpn_view cpn_assignment_scope(const char *id);
/* Does the document say Deny? */
bool cpn_assignment_denies(const json_t *body);

#endif

/* control/accounts.h -- the documents of people and services, as the API writes them. */
#ifndef CPN_CONTROL_ACCOUNTS_H
#define CPN_CONTROL_ACCOUNTS_H

#include "control/publish.h"

#define CPN_PASSWORD_MIN 8
#define CPN_PASSWORD_MAX 1024

/* Somebody is assigned, on "/", a role that gives rights: there is an administrator. Else enrolment
 * is open; whom a provider's sign-in made has no role, and closes nothing. */
bool cpn_accounts_owned(const cpn_snapshot *s);
/* Tells identity what the kept passwords and secrets cost. */
void cpn_accounts_costs(const cpn_snapshot *s, cpn_identity *identity);
/* The object id of a name: what an inventory derives, too. */
const char *cpn_account_id(const char *name, char out[CPN_UUID_TEXT]);
/* The id of a new assignment on a scope ("/": everything). */
void cpn_account_assignment_id(const char *scope, char out[CPN_ID_MAX + 1]);
/* A user's document. CPN_EXISTS: the id is taken. */
cpn_rc cpn_account_put(cpn_change *change, const char *object_id, const char *name,
                       const char *shown, cpn_err *err) CPN_MUST_CHECK;
cpn_rc cpn_account_credential(cpn_change *change, const char *object_id, const char *phc,
                              cpn_err *err) CPN_MUST_CHECK;
/* Delete a principal with its credential and its assignments. CPN_NOT_FOUND. */
cpn_rc cpn_account_delete(cpn_change *change, const char *object_id) CPN_MUST_CHECK;
/* A sign-in at the provider made this user. */
bool cpn_account_provisioned(const json_t *body);
/* What an inventory's document becomes: the same, with the groups that the last sign-in brought to
 * the user that now has (NULL: new) this subject. New reference. */
json_t *cpn_account_external_kept(const json_t *now, const json_t *body);
/* What speaks against a sign-in, or a token, of this policy epoch: CPN_WHY_NONE with *who (NULL is
 * fine), CPN_WHY_PRINCIPAL_DISABLED (or gone), CPN_WHY_TOKEN_EXPIRED (signed out since). */
cpn_reason cpn_account_refusal(const cpn_snapshot *s, const char *object_id, uint64_t epoch,
                               const cpn_principal **who);
/* The stored argon2id text; NULL: none, or a provider elsewhere proves who they are. */
const char *cpn_account_phc(const cpn_snapshot *s, const char *object_id);
/* A password member of a body: 8 to 1024 bytes. CPN_INVALID. */
cpn_rc cpn_account_password(const json_t *body, const char *key, cpn_secret *out,
                            cpn_err *err) CPN_MUST_CHECK;

#endif

/* identity/sshask.h -- the members of a token request that ask for an SSH certificate: token_type,
 * req_cnf, key_id, and ours, target. */
#ifndef CPN_IDENTITY_SSHASK_H
#define CPN_IDENTITY_SSHASK_H

#include "codec/form.h"
#include "codec/sshkey.h"
#include "model/resource.h"

#define CPN_SSH_KEY_ID_MAX 128

typedef struct cpn_ssh_ask {
    bool wanted;
    cpn_sshkey key;
    char key_id[CPN_SSH_KEY_ID_MAX + 1]; /* the client's name for its key: untrusted, printable */
    char target[CPN_ID_MAX + 1];         /* a machine's id; "": wherever a role is held */
} cpn_ssh_ask;

/* Without token_type, or with Bearer, nothing is wanted. scope holds one of the three clouds'
 * ".../CheckMyAccess/Linux/.default". CPN_INVALID: *error is the RFC's word, err the sentence. */
cpn_rc cpn_ssh_ask_read(cpn_ssh_ask *out, const cpn_form *form, cpn_view scope, const char **error,
                        cpn_err *err) CPN_MUST_CHECK;

#endif

/* policy/sshlogin.h -- what stands in somebody's SSH certificate. Pure. docs/adr/0010 says why.
 *
 * Who holds a role with the data action of the two Virtual Machine logins gets principals. The
 * account name is made of the sign-in name; a scope's principal is ACCOUNT@TAG, where TAG says at
 * which scope the role is held. A machine that lists only the tags of its own id and of what lies
 * above it lets in whom the role lets in there, and nobody else. */
#ifndef CPN_POLICY_SSHLOGIN_H
#define CPN_POLICY_SSHLOGIN_H

#include "policy/snapshot.h"

#define CPN_SSH_LOGIN_SIZE 33 /* an account name of Linux, NUL included */
#define CPN_SSH_TAG_SIZE 33   /* 128 bits in hex, NUL included */
#define CPN_SSH_SCOPES_MAX 64
#define CPN_SSH_PRINCIPALS_MAX 200 /* OpenSSH takes 256 */
#define CPN_SSH_PRINCIPALS_SIZE 20480

#define CPN_SSH_USER_ROLE "Virtual Machine User Login"
#define CPN_SSH_ADMIN_ROLE "Virtual Machine Administrator Login"

/* Settings. Words are separated by spaces; in them {login} is the account name and {scope} a tag;
 * a word with {scope} stands once for each scope, one without it once. */
typedef struct cpn_ssh_rules {
    const char *user_words;
    const char *admin_words; /* in place of user_words at scopes of the administrator's role */
    const char *reserved;    /* account names that nobody gets */
} cpn_ssh_rules;

typedef struct cpn_ssh_login {
    char login[CPN_SSH_LOGIN_SIZE]; /* the first principal's account */
    bool admin;                     /* somewhere in it */
    unsigned scopes;
    unsigned principals_n;
    bool cut; /* more than the bounds: what is left out is refused on its machines */
    char principals[CPN_SSH_PRINCIPALS_SIZE]; /* separated by commas */
} cpn_ssh_login;

/* Small letters, digits, '.', '_' and '-', a letter first, at most 32: of a user the sign-in name
 * before the '@', of a service principal the display name; each run of other bytes becomes '_'.
 * False: nothing is left. */
bool cpn_ssh_login_name(const cpn_principal *who, char out[CPN_SSH_LOGIN_SIZE]);
/* The tag of a scope, whatever the case of its letters: the first 128 bits of SHA-256, in hex. */
void cpn_ssh_scope_tag(cpn_view scope, char out[CPN_SSH_TAG_SIZE]);

/* Fill out for all scopes at which `who` holds a role now, or, with a target (an id; empty: none),
 * for that machine alone. A scope under or over which a deny assignment of theirs holds is left
 * out. CPN_DENIED: err names what is missing and where; out is zero then. */
cpn_rc cpn_ssh_login_for(const cpn_snapshot *s, const cpn_principal *who,
                         const cpn_ssh_rules *rules, cpn_view target, int64_t now_s,
                         cpn_ssh_login *out, cpn_err *err) CPN_MUST_CHECK;

#endif

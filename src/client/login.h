/* client/login.h -- the ways to sign in, and the options and steps that they, enrolment and
 * passwords share. */
#ifndef CPN_CLIENT_LOGIN_H
#define CPN_CLIENT_LOGIN_H

#include "client/api.h"

#define CPN_USER_NAME_SIZE 321
#define CPN_LOGIN_CLIENT "caponier" /* our client_id */
#define CPN_LOGIN_DEVICE_S 1800     /* a device code's longest life */
#define CPN_LOGIN_POLL_S 60         /* between two polls, at most */

/* Rows for a command's table of options. */
#define CPN_PASSWORD_OPTS                                                                          \
    { .name = "password-stdin", .help = "read the password from standard input's next line" },     \
        { .name = "password-file",                                                                 \
          .arg = "FILE",                                                                           \
          .help = "read the password from the first line of FILE" },                               \
    {                                                                                              \
        .name = "password", .letter = 'p', .arg = "VALUE",                                         \
        .refused = "other users can read a command line; use the prompt, --password-stdin or "     \
                   "--password-file"                                                               \
    }

/* First: a new key for this sign-in, and what an earlier one left is not mixed with it. */
void cpn_login_begin(cpn_api *a);
/* The password from where the options say, else from the terminal; asked twice when it is new. */
cpn_rc cpn_login_password(const cpn_cli *cli, const char *what, bool is_new, cpn_secret *out,
                          cpn_err *err) CPN_MUST_CHECK;
/* Get tokens with a user's password or a service principal's secret, and keep the sign-in. */
cpn_rc cpn_login_grant(cpn_api *a, const char *name, bool service, const cpn_secret *password,
                       cpn_err *err) CPN_MUST_CHECK;
/* A person signs in by the browser of this machine (RFC 8252, PKCE), and the sign-in is kept.
 * CPN_NOT_FOUND with a sentence: there is none, or it could not be opened. */
cpn_rc cpn_login_browser(cpn_api *a, cpn_err *err) CPN_MUST_CHECK;
/* The same by any browser elsewhere, with a code that is shown on stderr (RFC 8628). Nothing is
 * read from the terminal. */
cpn_rc cpn_login_device(cpn_api *a, cpn_err *err) CPN_MUST_CHECK;

/* Append the scope that our sign-ins ask for; service: without a refresh token. */
cpn_rc cpn_login_scope(const cpn_api *a, bool service, cpn_buf *form) CPN_MUST_CHECK;
/* The tokens are in a->ctx: find out who that is, and keep the sign-in; what cannot be kept is
 * ended at the gateway. */
cpn_rc cpn_login_keep(cpn_api *a, cpn_err *err) CPN_MUST_CHECK;
/* Get tokens for the form, which is wiped, and keep them as above. */
cpn_rc cpn_login_redeem(cpn_api *a, cpn_buf *form, cpn_err *err) CPN_MUST_CHECK;

#endif

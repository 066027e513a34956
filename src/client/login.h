/* client/login.h -- the options and steps that sign-in, enrolment and passwords share. */
#ifndef CPN_CLIENT_LOGIN_H
#define CPN_CLIENT_LOGIN_H

#include "client/api.h"

#define CPN_USER_NAME_SIZE 321

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

/* The password from where the options say, else from the terminal; asked twice when it is new. */
cpn_rc cpn_login_password(const cpn_cli *cli, const char *what, bool is_new, cpn_secret *out,
                          cpn_err *err) CPN_MUST_CHECK;
/* Get tokens with a user's password or a service principal's secret, and keep the sign-in. */
cpn_rc cpn_login_grant(cpn_api *a, const char *name, bool service, const cpn_secret *password,
                       cpn_err *err) CPN_MUST_CHECK;

#endif

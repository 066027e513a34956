/* client/prompt.h -- what only a person or a file may tell us: passwords, codes, names.
 *
 * Nothing is asked when standard input is not a terminal: CPN_INVALID with a sentence that names
 * the option to use. */
#ifndef CPN_CLIENT_PROMPT_H
#define CPN_CLIENT_PROMPT_H

#include "base/secret.h"

/* One line without echo. what: "password", option: what to use in a script. */
cpn_rc cpn_ask_secret(const char *what, const char *option, cpn_secret *out,
                      cpn_err *err) CPN_MUST_CHECK;
/* One line with echo into out. */
cpn_rc cpn_ask_line(const char *what, const char *option, char *out, size_t size,
                    cpn_err *err) CPN_MUST_CHECK;
/* Yes or no; anything but "y" and "yes" is no (CPN_DENIED without a sentence). */
cpn_rc cpn_ask_yes(const char *question, const char *option, cpn_err *err) CPN_MUST_CHECK;
/* The first line of standard input, read no further than its newline. */
cpn_rc cpn_secret_from_stdin(cpn_secret *out, cpn_err *err) CPN_MUST_CHECK;
/* The first line of a file. */
cpn_rc cpn_secret_from_file(const char *path, cpn_secret *out, cpn_err *err) CPN_MUST_CHECK;

#endif

/* client/hint.h -- a command that a person can paste, to do next what this one could not.
 *
 * It leads to the same machine: whatever was given to find it (gateway, account, bastion, port)
 * stands in it again. Each word is quoted where a shell would read more into it. */
#ifndef CPN_CLIENT_HINT_H
#define CPN_CLIENT_HINT_H

#include "client/target.h"

/* Does a shell take it as one word, and a program for no option? */
bool cpn_hint_plain(const char *word);
/* A blank, then the word, in single quotes unless it is plain. CPN_LIMIT, CPN_E_NOMEM. */
cpn_rc cpn_hint_put(cpn_buf *out, const char *word) CPN_MUST_CHECK;
/* "caponier COMMAND OPTIONS MACHINE MORE" into cli->next, which is printed on a line of its own
 * after the error's sentence. The command takes the options of CPN_TARGET_OPTS and of the gateway;
 * more is "" or further words as they are. Nothing when it would be too long. */
void cpn_hint_next(cpn_cli *cli, const char *command, const cpn_target *t, const char *more);

#endif

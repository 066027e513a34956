/* client/opts.h -- reads a command line against a command's table.
 *
 * --name VALUE, --name=VALUE, -n VALUE, -nVALUE, -xy for two switches; "--" ends the options. An
 * option given twice (unless it may be), an unknown one, one without its value and a switch with
 * one are usage errors. Nothing is abbreviated. With CPN_CMD_RUNS the word behind TARGET ends the
 * options too. */
#ifndef CPN_CLIENT_OPTS_H
#define CPN_CLIENT_OPTS_H

#include "client/cmd.h"

#define CPN_ARGS_MAX 64

/* Values borrow from argv. */
typedef struct cpn_args {
    const cpn_opt *opt[CPN_OPTS_MAX];
    const char *value[CPN_OPTS_MAX]; /* "" for a switch that is given; NULL: not given */
    unsigned opts;
    const char *each[CPN_ARGS_MAX]; /* every value of the option that may be given many times */
    unsigned eachs;
    const char *arg[CPN_ARGS_MAX];
    unsigned args;
} cpn_args;

/* argv: what follows the command's name. CPN_INVALID with a sentence. When --help is among them
 * nothing else is checked. */
cpn_rc cpn_args_parse(cpn_args *out, const cpn_cmd *cmd, int argc, char **argv,
                      cpn_err *err) CPN_MUST_CHECK;
/* Is every option given that must be, and not empty? CPN_INVALID with a sentence. */
cpn_rc cpn_args_complete(const cpn_args *a, cpn_err *err) CPN_MUST_CHECK;
/* The value, or NULL. Aborts when the command has no such option. */
const char *cpn_args_get(const cpn_args *a, const char *name);
/* The value, or the table's default when it is left out. */
const char *cpn_args_or_default(const cpn_args *a, const char *name);
bool cpn_args_has(const cpn_args *a, const char *name);
/* A decimal number in min..max; the table's default when it is left out. CPN_INVALID. */
cpn_rc cpn_args_number(const cpn_args *a, const char *name, unsigned min, unsigned max,
                       unsigned *out, cpn_err *err) CPN_MUST_CHECK;

/* The one thing that a command is about: its argument or --name, not both. CPN_INVALID. */
cpn_rc cpn_args_name(const cpn_args *a, const char **out, cpn_err *err) CPN_MUST_CHECK;

/* The options of a command: its own, then the common ones. Returns how many. */
unsigned cpn_cmd_options(const cpn_cmd *cmd, const cpn_opt *out[CPN_OPTS_MAX]);

#endif

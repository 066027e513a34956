/* client/cli.h -- one run of the command line: which command, what it was given, how it answers. */
#ifndef CPN_CLIENT_CLI_H
#define CPN_CLIENT_CLI_H

#include <jansson.h>

#include "client/opts.h"

typedef enum cpn_format { CPN_FORMAT_TABLE = 0, CPN_FORMAT_JSON, CPN_FORMAT_TSV } cpn_format;

struct cpn_cli {
    const cpn_cmd *cmd;
    cpn_args args;
    cpn_format format;
    bool colour;     /* stdout is a terminal that shows bold, and NO_COLOR is not set */
    char next[2048]; /* a command that may help, printed after the error's sentence; "": none */
    json_t *problem; /* what the gateway said beside its error's sentence (missing roles); owned */
};

/* Everything main does. Returns the exit status. */
int cpn_cli_main(int argc, char **argv);

/* The command that argv[0..] names: *words of them are its name. "network bastion" in front is
 * skipped, as the Azure CLI spells it. NULL: none. */
const cpn_cmd *cpn_cli_find(int argc, char **argv, int *words);

/* Does a refusal name roles that would mend it? */
bool cpn_cli_roles_missing(const json_t *problem);
/* Print on stderr what stands in cli->problem: each missing role with its scope, the decision. */
void cpn_cli_say_problem(const json_t *problem);

#endif

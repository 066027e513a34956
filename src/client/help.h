/* client/help.h -- everything that is printed from the table of commands. */
#ifndef CPN_CLIENT_HELP_H
#define CPN_CLIENT_HELP_H

#include <jansson.h>
#include <stdio.h>

#include "client/cmd.h"

/* "caponier session list [--user NAME] …"; lives until the next call. */
const char *cpn_help_usage(const cpn_cmd *cmd);
/* --help of one command, on stdout. */
void cpn_help_command(const cpn_cmd *cmd);
/* All commands with their one line. */
void cpn_help_overview(FILE *to);
/* The commands that begin with this and go on ("session", "vm hostkey"). False: there are none. to
 * NULL: only tell whether there are. */
bool cpn_help_group(FILE *to, const char *words);
/* A reference of all commands in Markdown, on stdout. */
void cpn_help_markdown(void);
/* The whole table: {"commands":[{name, brief, args, options:[…], examples:[…]}…]}. New reference.
 */
json_t *cpn_help_json(void);

#endif

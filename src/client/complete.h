/* client/complete.h -- completion scripts, made from the table of commands, on stdout.
 *
 * Names of machines, bastions and sessions come from the hidden `caponier names`, which says
 * nothing that a shell could take for anything but a word, asks nobody anything and is quick; the
 * scripts compare and never evaluate what it prints. */
#ifndef CPN_CLIENT_COMPLETE_H
#define CPN_CLIENT_COMPLETE_H

#include "client/cmd.h"

void cpn_complete_bash(void);
void cpn_complete_zsh(void);
void cpn_complete_fish(void);

/* The words that may stand behind `group` ("" at the start): the next word of each command's name,
 * each once. Calls say for each. */
void cpn_complete_next(const char *group, void (*say)(const char *word, int n, const cpn_cmd *cmd));
/* Is this a command's whole name? Some begin others, too ("tunnel"). */
bool cpn_complete_is_command(const char *name);
/* Calls say once for each beginning of a command's name ("vm", "vm hostkey"). */
void cpn_complete_groups(void (*say)(const char *group, int n));

#endif

/* Writes the completion script for bash. */
#include <stdio.h>
#include <string.h>

#include "client/complete.h"
#include "client/opts.h"

/* $cmd becomes the command's name, or as much of one as is there; "network bastion" is skipped as
 * the program itself does. bash splits words at @, : and =, but what is
 * replaced begins with the @. */
static const char start[] =
    "_caponier() {\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
    "    local cmd= net= words= names= also= before= end= i w\n"
    "    [[ $prev == = ]] && prev=${COMP_WORDS[COMP_CWORD-2]}\n"
    "    [[ $cur == = ]] && prev=${COMP_WORDS[COMP_CWORD-1]}\n"
    "    [[ $cur == [:=] ]] && cur=\n"
    "    [[ $cur == @ ]] && cur=\n"
    "    [[ $2 == @* ]] && before=@\n"
    "    COMPREPLY=()\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        w=${COMP_WORDS[i]}\n"
    "        if [[ $_caponier_all == *\"|${cmd:+$cmd }$w|\"* ]]; then cmd=${cmd:+$cmd }$w\n"
    "        elif [[ $net$cmd == netbastion && $_caponier_all == *\"|$w|\"* ]]; then cmd=$w\n"
    "        elif [[ -z $net$cmd && $w == network ]]; then net=net\n"
    "        else break; fi\n"
    "    done\n"
    "    case $cmd in\n";

static const char finish[] =
    "    esac\n"
    "    if [[ $names && $cur != -* ]]; then\n"
    "        while IFS= read -r w; do\n"
    "            [[ $w == \"$cur\"* ]] && COMPREPLY+=(\"$before$w$end\")\n"
    "        done < <(\"${COMP_WORDS[0]/#\\~/$HOME}\" names \"$names\" -- \"$cur\" 2>/dev/null "
    "</dev/null)\n"
    "        [[ $cur ]] || also+=\" $words\"\n"
    "        COMPREPLY+=($(compgen -W \"$also\" -- \"$cur\"))\n"
    "        if [[ $end ]]; then\n"
    "            compopt -o nospace -o filenames\n"
    "            while IFS= read -r w; do COMPREPLY+=(\"$w\"); done < <(compgen -f -- \"$cur\")\n"
    "        fi\n"
    "    else\n"
    "        COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
    "    fi\n"
    "}\n"
    "complete -o default -F _caponier caponier\n";

static void
say_word(const char *word, int n, const cpn_cmd *cmd)
{
    (void)cmd;
    printf("%.*s ", n, word);
}

static void
say_group(const char *group, int n)
{
    char name[64];

    snprintf(name, sizeof(name), "%.*s", n, group);
    if (cpn_complete_is_command(name))
        return; /* its words stand with its options */
    printf("        '%s') words='", name);
    cpn_complete_next(name, say_word);
    /* `network bastion ssh` is `ssh`. */
    if (strcmp(name, "bastion") == 0)
        cpn_complete_next("", say_word);
    printf("' ;;\n");
}

static void
say_known(const char *group, int n)
{
    printf("|%.*s|", n, group);
}

/* What the value of an option is: names, or whatever bash makes of it. */
static void
values_of(const cpn_opt *const *opt, unsigned n)
{
    printf("            case $prev in\n");
    for (unsigned i = 0; i < n; i++) {
        if (opt[i]->refused || !opt[i]->arg)
            continue;
        printf("                --%s", opt[i]->name);
        if (opt[i]->letter)
            printf("|-%c", opt[i]->letter);
        if (opt[i]->also)
            printf("|-%c", opt[i]->also);
        if (opt[i]->names)
            printf(") names=%s ;;\n", opt[i]->names);
        else
            printf(") return ;;\n");
    }
}

static void
say_command(const cpn_cmd *cmd)
{
    const cpn_opt *opt[CPN_OPTS_MAX];
    unsigned n = cpn_cmd_options(cmd, opt);

    printf("        '%s') words='", cmd->name);
    for (unsigned i = 0; i < n; i++)
        if (!opt[i]->refused)
            printf("%s--%s", i ? " " : "", opt[i]->name);
    printf("' also='");
    cpn_complete_next(cmd->name, say_word);
    printf("'\n");
    values_of(opt, n);
    printf("                *) %s%s%s ;;\n            esac ;;\n", cmd->names ? "names=" : ":",
           cmd->names ? cmd->names : "", strcmp(cmd->name, "scp") == 0 ? " end=:" : "");
}

void
cpn_complete_bash(void)
{
    printf("# bash completion for caponier; made by 'caponier completion bash'\n_caponier_all='");
    for (const cpn_cmd *const *c = cpn_cmds; *c; c++)
        if (!((*c)->flags & CPN_CMD_HIDDEN))
            printf("|%s|", (*c)->name);
    cpn_complete_groups(say_known);
    printf("'\n");
    fputs(start, stdout);
    printf("        '') words='");
    cpn_complete_next("", say_word);
    printf("network'; [[ $net ]] && words=bastion ;;\n");
    cpn_complete_groups(say_group);
    for (const cpn_cmd *const *c = cpn_cmds; *c; c++)
        if (!((*c)->flags & CPN_CMD_HIDDEN))
            say_command(*c);
    fputs(finish, stdout);
}
